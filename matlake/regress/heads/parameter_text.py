"""Parameters of a model as people read them."""

from matlake.regress.regressors import Parameters


def parameter_text(parameters: Parameters) -> str:
    """Return parameters on one line, without digests; members of an ensemble with their weights."""
    if "members" in parameters:
        return " + ".join(
            f"{member['weight']:.2g} {member['model']}({parameter_text(member['parameters'])})"
            for member in parameters["members"]
        )
    shown = {key: value for key, value in parameters.items() if not key.endswith("sha256")}
    return ", ".join(f"{key}={_short(value)}" for key, value in shown.items())


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
