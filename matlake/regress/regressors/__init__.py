"""The regressors on offer, by name, and how one is fitted. See docs/science/models.md.

Their names stand in ``__init__.pyi``. They are imported when they are first used: prediction needs none of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
