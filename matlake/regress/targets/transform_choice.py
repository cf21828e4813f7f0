"""Which function of a property a head learns, and the errors that decided it: what its card says of the choice."""

from dataclasses import dataclass

from matlake.metrics import Metrics
from matlake.regress.targets.transforms import Transform


@dataclass(frozen=True)
class TransformChoice:
    """Errors of a property learned as it is, as a logarithm and as a root, in cross-validation on training rows.

    Attributes:
        errors: Mean absolute error, in the property's unit, by the name of the transform.
        chosen: The transform.
        rows: Training rows that took part.
    """

    errors: dict[str, float]
    chosen: Transform
    rows: int

    def line(self, unit: str) -> str:
        """Return the text for people."""
        others = ", ".join(
            f"{error:.4g} {unit}".rstrip() + f" {_WORDS[Transform(name)]}" for name, error in self.errors.items()
        )
        return f"learned {_WORDS[self.chosen]}: mean absolute errors of kernel ridge regression are {others}"


_WORDS = {
    Transform.NONE: "as it is",
    Transform.LOG: "as its logarithm",
    Transform.SQRT: "as its square root",
}


@dataclass(frozen=True)
class ScaleRecord:
    """The scale on which a head was fitted.

    Attributes:
        function: What errors are stated on besides the property itself, such as ``log10``; empty for none.
        metrics: Errors on the test rows on that scale; None where there is none, or a value there has none.
        choice: The errors that decided it; None where the user did.
    """

    function: str = ""
    metrics: Metrics | None = None
    choice: TransformChoice | None = None

    def lines(self, target: str, unit: str) -> list[str]:
        """Return the text for people."""
        lines = [self.choice.line(unit)] if self.choice else []
        if not self.function:
            return lines
        if self.choice is None:
            lines.append(f"learned as {self.function}({target})")
        if self.metrics is not None:
            found = self.metrics
            lines.append(
                f"errors of {self.function}({target}) on the test rows: MAE {found.mae:.4g}, RMSE {found.rmse:.4g}"
            )
        return lines
