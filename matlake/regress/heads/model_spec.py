"""The model that a name stands for: a kind of regressor, or a method of fine-tuning an encoder's weights."""

from typing import Final

from matlake.encoders.card import InputKind
from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError, Hint, TrainingError
from matlake.regress.features.feature import Feature
from matlake.regress.regressors import Estimator, Model, model_of_estimator, named_model
from matlake.regress.regressors.adversarial.settings import adversarial_parameters
from matlake.regress.regressors.elemnet import Source, TransferMethod, fine_tuned
from matlake.regress.regressors.ir_net import IR_NETS, ir_net_model, parse_widths
from matlake.regress.regressors.pretrained_layers import read_source_layers
from matlake.regress.regressors.training_settings import require_torch
from matlake.store.lake import Lake

FRACTIONS: Final = "fractions"
"""What an ElemNet takes."""


def resolve_model(
    lake: Lake, given: str | Model | Estimator, features: tuple[Feature, ...], adversarial: str | None = None
) -> Model:
    """Return the model that a name means, or an estimator of scikit-learn's.

    Args:
        lake: Its registry holds the encoder that ``fine-tune:ENCODER`` and the like name.
        given: A name of ``MODELS``; a ``TransferMethod`` with a colon and an encoder; one of ``IR_NETS`` with
            a colon and the widths of its blocks; a regressor or classifier; or a model, which is returned as it is.
        features: What the model is to be fitted to.
        adversarial: Method by which it is to learn from adversarial samples too; only for an IR-net.

    Raises:
        TrainingError: Unknown model, or no regressor or classifier; the features are not those that the encoder takes;
            adversarial learning of another model than an IR-net, or by an unknown method.
        EncoderError: No such encoder, or its weights cannot be trained on.
        MissingExtraError: The model is a deep network, and torch is not installed.
    """
    if not isinstance(given, str):
        if adversarial:
            raise _no_gradient(type(given).__name__)
        return given if isinstance(given, Model) else model_of_estimator(given)
    text = given
    method, colon, encoder = text.partition(":")
    adversary = adversarial_parameters(adversarial) if adversarial else None
    if method in IR_NETS:
        widths = parse_widths(encoder) if colon else None
        require_torch()
        return ir_net_model(IR_NETS[method], widths, adversary)
    if adversary:
        raise _no_gradient(text)
    if not colon or method not in set(TransferMethod):
        model = named_model(text)
        if model.slow:
            require_torch()
        return model
    require_torch()
    ref = LayerRef.parse(encoder)
    if ref.layer is not None:
        raise EncoderError(f"{text} names a layer, and all weights are used", f"write {method}:{ref.encoder}")
    found = lake.find_encoder(ref.encoder)
    if [feature.encoder for feature in features] != [FRACTIONS]:
        raise TrainingError(
            f"{text} takes element fractions, as the encoder itself does, not "
            f"{', '.join(feature.feature for feature in features)}",
            Hint(f"use features=['{FRACTIONS}']", cli=f"use --features {FRACTIONS}"),
        )
    source = Source(found.card.name, found.card.sha256, read_source_layers(found.folder))
    return fine_tuned(TransferMethod(method), source)


def crystal_network(lake: Lake, given: object) -> RegisteredEncoder | None:
    """Return the encoder of crystals that ``fine-tune:ENCODER`` names; None for any other model.

    Raises:
        EncoderError: No such encoder, an external one, or one of crystals is named with a layer or another method.
    """
    method, colon, encoder = given.partition(":") if isinstance(given, str) else ("", "", "")
    if not colon or method not in set(TransferMethod):
        return None
    ref = LayerRef.parse(encoder)
    found = lake.find_encoder(ref.encoder)
    if found.card.is_external:
        raise EncoderError(
            f"{given}: encoder {ref.encoder} is external, and has no weights here that could be trained",
            "name an encoder of crystals or compositions, or train on its vectors as features",
        )
    if found.card.input is not InputKind.CRYSTAL:
        return None
    if ref.layer is not None or method != TransferMethod.FINE_TUNE:
        raise EncoderError(
            f"{given}: all weights of a crystal network are trained, from the encoder's",
            f"write {TransferMethod.FINE_TUNE}:{ref.encoder}",
        )
    return found


def _no_gradient(model: str) -> TrainingError:
    """Return the error for a model without a gradient to attack along."""
    return TrainingError(
        f"model {model} cannot learn from adversarial samples: only an IR-net can",
        Hint(
            f"name one: {', '.join(IR_NETS)}; or leave adversarial out",
            cli=f"name one: --model {', --model '.join(IR_NETS)}; or leave --adversarial out",
        ),
    )
