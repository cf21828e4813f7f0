"""What encoders saw of tested rows, and what is refused as leakage."""

from dataclasses import replace

import numpy as np
import pytest
from samples import CRYSTAL_ENCODER

from matlake.encoders.leakage import (
    CONTENTS,
    FROM_CARD,
    FROM_SCOPE,
    FROM_SPLIT,
    FROM_TABLE,
    LABELS,
    NOTHING,
    REPORT,
    check_disjoint,
    expose,
)
from matlake.encoders.registry import find_encoder
from matlake.encoders.training_contents import TrainingContents, random_parts
from matlake.encoders.training_record import TrainingRecord, TrainingScope
from matlake.errors import LeakageError
from matlake.materials.formula import parse_formula

CARD = find_encoder(CRYSTAL_ENCODER).card
TESTED = [parse_formula(f"{a}{n}O{m}").content_hash for a in ("Fe", "Ti", "Mg") for n in (1, 2, 3) for m in (1, 4, 5)]
ENERGY = "formation_energy_eV_per_atom"


def test_a_tested_content_that_is_trained_on_is_an_error() -> None:
    contents = {"composition": ["a", "b", "c", "d"], "crystal": ["1", "2", "3", "2"]}
    check_disjoint(contents, np.array([0, 1]), np.array([2]))
    with pytest.raises(LeakageError, match=r"1 of 2 tested rows have a crystal that is trained on.*row 3"):
        check_disjoint(contents, np.array([0, 1]), np.array([2, 3]))
    contents["composition"][2] = "a"
    with pytest.raises(LeakageError, match="have a composition that is trained on, the first is row 2"):
        check_disjoint(contents, np.array([0, 1]), np.array([2]))


def test_a_table_tells_exactly_what_was_seen() -> None:
    seen = TrainingContents(frozenset(TESTED[:4]), frozenset({"crystal-0"}), frozenset(TESTED[4:6]))
    crystals = [f"crystal-{row}" for row in range(len(TESTED))]
    exposure, met = expose(CARD, "bulk_modulus_VRH_GPa", TESTED, crystals, seen)
    assert (exposure.how, exposure.compositions, exposure.crystals, exposure.chosen_by) == (FROM_TABLE, 4, 1, 2)
    assert np.flatnonzero(met).tolist() == [0, 1, 2, 3]
    assert not exposure.same_property
    assert exposure.trained_on == (ENERGY,)


def test_a_card_with_a_random_split_tells_what_cannot_have_been_seen() -> None:
    columns = CARD.training.columns
    assert columns is not None
    parts = np.array(random_parts(TESTED, columns.seed, columns.shares))
    exposure, met = expose(CARD, ENERGY, TESTED, None, None)
    assert exposure.how == FROM_SPLIT
    assert np.array_equal(met, parts == "train")
    assert 0 < exposure.compositions < len(TESTED)
    assert (exposure.crystals, exposure.chosen_by) == (None, None)
    by_column = replace(CARD, training=replace(CARD.training, columns=replace(columns, split_column="split")))
    exposure, met = expose(by_column, ENERGY, TESTED, None, None)
    assert exposure.how == FROM_CARD
    assert met.all()


def test_descriptors_have_seen_nothing() -> None:
    exposure, met = expose(find_encoder("magpie").card, ENERGY, TESTED, None, None)
    assert exposure.how == NOTHING
    assert not met.any()
    assert not exposure.refusal(CONTENTS)


LABELS_OF_A_POTENTIAL = ("energy_eV_per_atom", "forces_eV_per_A", "stress_GPa", "magnetic_moments_muB")
POTENTIAL = replace(
    CARD,
    name="a-potential",
    training=TrainingRecord(scope=TrainingScope("Materials Project", LABELS_OF_A_POTENTIAL, "2022-09", "MPtrj")),
)


@pytest.mark.parametrize(
    ("target", "refusing"),
    [
        (ENERGY, {LABELS, CONTENTS}),
        ("energy_above_hull_eV_per_atom", {LABELS, CONTENTS}),
        ("total_magnetization_muB", {LABELS, CONTENTS}),
        ("bulk_modulus_VRH_GPa", {CONTENTS}),
        ("last_phdos_peak_cm-1", {CONTENTS}),
        ("band_gap_eV", {CONTENTS}),
    ],
)
def test_published_weights_count_as_trained_on_all_that_their_rule_allows(target: str, refusing: set[str]) -> None:
    exposure, met = expose(POTENTIAL, target, TESTED, None, None)
    assert (exposure.how, exposure.trained_on) == (FROM_SCOPE, LABELS_OF_A_POTENTIAL)
    assert met.all()
    assert {policy for policy in (LABELS, CONTENTS, REPORT) if exposure.refusal(policy)} == refusing
    assert "may have been trained on" in exposure.refusal(CONTENTS)
    assert "27 of the 27 tested compositions (its training data: Materials Project up to 2022-09 (MPtrj))" in (
        exposure.refusal(CONTENTS)
    )


def test_contents_that_are_known_come_before_the_rule() -> None:
    exposure, met = expose(POTENTIAL, ENERGY, TESTED, None, TrainingContents(frozenset(TESTED[:4])))
    assert (exposure.how, met.sum()) == (FROM_TABLE, 4)


@pytest.mark.parametrize(
    ("target", "seen", "refusing"),
    [
        (ENERGY, None, {LABELS, CONTENTS}),
        (ENERGY, frozenset(TESTED[:1]), {LABELS, CONTENTS}),
        (ENERGY, frozenset(), set()),
        ("formation_energy_meV_per_atom", None, {LABELS, CONTENTS}),
        ("band_gap_eV", None, {CONTENTS}),
        ("band_gap_eV", frozenset(), set()),
    ],
)
def test_what_is_refused_depends_on_property_and_contents(
    target: str, seen: frozenset[str] | None, refusing: set[str]
) -> None:
    exposure, _ = expose(CARD, target, TESTED, None, None if seen is None else TrainingContents(seen))
    assert {policy for policy in (LABELS, CONTENTS, REPORT) if exposure.refusal(policy)} == refusing
    if seen:
        assert f"was trained on {ENERGY} of 1 of the 27 tested compositions" in exposure.refusal(LABELS)
    elif refusing:
        assert "may have been trained on" in exposure.refusal(CONTENTS)
        assert "its training table can say" in exposure.refusal(CONTENTS)
