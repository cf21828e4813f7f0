"""The models that tests try one by one: all but deep networks, whose fits take long and need torch."""

from matlake.regress.regressors import MODELS

QUICK = {name: model for name, model in MODELS.items() if not model.slow}
