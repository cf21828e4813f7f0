"""Which of the named features a head uses, and the errors that decided it: what its card says of the choice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureErrors:
    """Errors of a set of features in cross-validation, in the target's unit.

    Attributes:
        features: ``NAME@LAYER`` of each.
        random_mae: Mean absolute error on random folds of compositions.
        cluster_mae: The same on folds that leave out clusters of compositions.
    """

    features: tuple[str, ...]
    random_mae: float
    cluster_mae: float

    def improves(self, other: "FeatureErrors") -> bool:
        """Say whether it is better than another set on random folds and no worse on clusters."""
        return self.random_mae < other.random_mae and self.cluster_mae <= other.cluster_mae


@dataclass(frozen=True)
class FeatureChoice:
    """The features that a head was given, and those that it uses.

    Attributes:
        everything: Errors of all features.
        chosen: Errors of those used.
        refused: The set that was best on random folds of all that are worse on clusters; None if there is none.
        sets: Number of sets that were measured.
        rows: Training rows that took part.
        learned_cluster_mae: Error on the same clusters of ``gaussian-process``, which learns what each feature used is
            worth; None where one is used, or there was no time.
        cut_short: Whether a limit of time, or of the number of sets, ended it.
    """

    everything: FeatureErrors
    chosen: FeatureErrors
    refused: FeatureErrors | None
    sets: int
    rows: int
    learned_cluster_mae: float | None = None
    cut_short: bool = False

    @property
    def learns_blocks(self) -> bool:
        """Whether a kernel that learns what features are worth is no worse on clusters than one that does not."""
        return self.learned_cluster_mae is not None and self.learned_cluster_mae <= self.chosen.cluster_mae

    def lines(self, unit: str) -> list[str]:
        """Return the text for people."""
        named, used = self.everything, self.chosen
        if used == named:
            lines = [f"features: all {len(named.features)}, {_errors(named, unit)}"]
        else:
            dropped = [feature for feature in named.features if feature not in used.features]
            lines = [
                f"features: {len(used.features)} of {len(named.features)}, {_errors(used, unit)}",
                f"features left out: {', '.join(dropped)}; with them, {_errors(named, unit)}",
            ]
        if self.refused is not None:
            lines.append(
                f"features refused because they are worse on clusters: {', '.join(self.refused.features)}: "
                f"{_errors(self.refused, unit)}"
            )
        if self.learned_cluster_mae is not None:
            verb = "took" if self.learns_blocks else "took no"
            lines.append(
                f"gaussian-process {verb} part in the model search: MAE {self.learned_cluster_mae:.4g} on left-out "
                f"clusters, {used.cluster_mae:.4g} with equal weights of all features{f' ({unit})' if unit else ''}"
            )
        if self.cut_short:
            lines.append(f"choice among features cut short; sets measured: {self.sets}")
        return lines


def _errors(found: FeatureErrors, unit: str) -> str:
    return (
        f"MAE {found.random_mae:.4g} on random folds, {found.cluster_mae:.4g} on left-out clusters "
        f"of compositions{f' ({unit})' if unit else ''}"
    )
