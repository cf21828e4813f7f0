"""Labelling a table: every row is labelled or says why not, a killed run goes on, and pupils name their teacher."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED

from matlake.encoders.card import MODEL_FILE, Layer, read_card, write_card
from matlake.encoders.leakage import FROM_SCOPE, expose
from matlake.encoders.listing import card_lines
from matlake.encoders.registry import RegisteredEncoder, find_encoder
from matlake.errors import EncoderError, SourceError
from matlake.export.pretraining.training_data import TrainingTable
from matlake.export.teacher import run
from matlake.export.teacher.energies import check_teacher, open_teacher
from matlake.export.teacher.labels import (
    BULK,
    PEAK,
    PROBLEM,
    SHEAR,
    VOLUME,
    LabelledRows,
    Labeller,
    ProbedRows,
    ReadRows,
)
from matlake.export.teacher.run import LabelRequest, label_table
from matlake.locks import FileLock
from matlake.materials.crystal import Crystal
from matlake.materials.structure_files.sniff import parse_structure
from matlake.progress import Progress
from matlake.regress.splits.training_dates import _training_dates

TEACHER = "chgnet-mptrj"
KNOWN = "bulk_modulus_VRH_GPa"


def poscar(symbol: str, bond: float, atoms: int = 1) -> str:
    """Return a close-packed element, in a cell of one atom or several in a row."""
    half = bond / np.sqrt(2)
    places = "\n".join(f"{k / atoms} 0 0" for k in range(atoms))
    cell = f"0 {atoms * half} {atoms * half}\n{half} 0 {half}\n{half} {half} 0"
    return f"{symbol}{atoms}\n1.0\n{cell}\n{symbol}\n{atoms}\ndirect\n{places}\n"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Twelve small crystals of the bundled sample."""
    sample = pq.read_table(BUNDLED / "mp_elasticity.parquet")
    small = [row for row, text in enumerate(sample["poscar"].to_pylist()) if len(parse_structure(text).numbers) <= 5]
    return sample.take(small[:12])


def as_data(table: pa.Table) -> TrainingTable:
    return TrainingTable("crystals.parquet", "0" * 64, table)


@pytest.fixture(scope="module")
def labelled(table, tmp_path_factory) -> Path:
    """The twelve with labels, written at once."""
    output = tmp_path_factory.mktemp("labels") / "labelled.parquet"
    label_table(LabelRequest(as_data(table), find_encoder(TEACHER), output))
    return output


@pytest.fixture(scope="module")
def labeller() -> Labeller:
    return Labeller(open_teacher(find_encoder(TEACHER), "cpu"), 50)


def labels_of(labeller: Labeller, *crystals: Crystal | str) -> list[dict[str, float]]:
    found: list[dict[str, float]] = labeller.label(labeller.probe(ReadRows(0, crystals))).table.to_pylist()
    return found


def test_labels_are_near_calculated_moduli(labelled) -> None:
    found = pq.read_table(labelled)
    ratios = np.asarray(found[BULK]) / np.asarray(found[KNOWN])
    assert 0.7 < np.median(ratios) < 1.3
    assert np.nanmin(ratios) > 0.4
    assert np.nanmax(ratios) < 2.5
    assert np.nanmedian(np.asarray(found[PEAK], float)) > 50
    logs = np.log10(np.asarray(found[SHEAR], float))
    assert np.allclose(logs, np.asarray(found[f"{SHEAR}_log10"], float), equal_nan=True)


def test_labels_do_not_depend_on_the_cell(labeller, table) -> None:
    crystal = parse_structure(table["poscar"][0].as_py())
    n = len(crystal.numbers)
    twice = Crystal(
        np.tile(crystal.numbers, 2),
        crystal.lattice * [[1], [2], [1]],
        np.concatenate([(crystal.positions + np.array([0, k, 0])) / [1, 2, 1] for k in range(2)]),
    )
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    order = np.roll(np.arange(n), 1)
    turned = Crystal(
        crystal.numbers[order], (crystal.lattice @ turn)[[2, 0, 1]], crystal.positions[order][:, [2, 0, 1]]
    )
    one, two, other = labels_of(labeller, crystal, twice, turned)
    assert two[VOLUME] == pytest.approx(one[VOLUME])
    for name in (BULK, SHEAR):
        assert two[name] == pytest.approx(one[name], rel=0.01)
    assert other[BULK] == pytest.approx(one[BULK], rel=0.01)
    assert other[SHEAR] == pytest.approx(one[SHEAR], rel=0.1)  # six shears average third orders out only in part
    assert other[PEAK] == pytest.approx(one[PEAK], rel=0.01)


def test_every_row_is_labelled_or_says_why_not(table, tmp_path) -> None:
    texts = [poscar("Cm", 3.2), "nonsense", None, poscar("Cu", 2.55, 3), poscar("Cu", 2.55), table["poscar"][0].as_py()]
    data = as_data(pa.table({"poscar": texts, "id": range(6), VOLUME: [1.0] * 6}))
    output = tmp_path / "new folder" / "out.parquet"
    report = label_table(LabelRequest(data, find_encoder(TEACHER), output, max_atoms=2))
    found = pq.read_table(output)
    reasons = found[PROBLEM].to_pylist()
    assert found["id"].to_pylist() == list(range(6))
    assert found[VOLUME].to_pylist() == [1.0] * 6  # of the table's own
    for reason, text in zip(reasons[:5], ("element Cm", "", "", "3 atoms, more than the 2", "one atom"), strict=True):
        assert text in reason
    assert [value is None for value in found[BULK].to_pylist()[:4]] == [True] * 4
    assert 100 < found[BULK].to_pylist()[4] < 200
    assert report.problems == 6 - reasons.count(None)
    assert report.document()["failed"] == report.problems
    assert "row 1: element Cm" in "\n".join(report.lines())


def test_a_killed_run_goes_on_where_it_was(table, labelled, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(run, "_ROWS_A_PART", 4)
    request = LabelRequest(as_data(table), find_encoder(TEACHER), tmp_path / "out.parquet")
    label = Labeller.label
    done: list[int] = []

    def dies_in_third_part(self: Labeller, rows: ProbedRows) -> LabelledRows:
        if rows.start == 8:
            raise KeyboardInterrupt
        done.append(rows.start)
        return label(self, rows)

    monkeypatch.setattr(Labeller, "label", dies_in_third_part)
    with pytest.raises(KeyboardInterrupt):
        label_table(request)
    assert not request.output.exists()
    (tmp_path / ".out.parquet.parts" / "000000004.parquet").write_bytes(b"torn")
    with pytest.raises(SourceError, match="max_atoms differ"):
        label_table(replace(request, max_atoms=3))

    monkeypatch.setattr(Labeller, "label", lambda self, rows: done.append(rows.start) or label(self, rows))
    notes: list[str] = []
    report = label_table(request, Progress(notes.append))
    assert sorted(done) == [0, 4, 4, 8]
    assert notes == ["4 of 12 rows were labelled before"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet"]
    whole, resumed = pq.read_table(labelled), pq.read_table(request.output)
    for name in (BULK, SHEAR, PEAK):
        assert np.allclose(np.asarray(whole[name], float), np.asarray(resumed[name], float), rtol=0.01, equal_nan=True)

    again = label_table(request)
    assert sorted(done) == [0, 4, 4, 8]
    assert replace(again, seconds=report.seconds) == report
    assert report.processor_s > 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cgcnn-mp-formation-energy", "its energy jumps"), ("magpie", "does not predict energies of crystals")],
)
def test_an_encoder_without_smooth_energies_is_no_teacher(name, reason) -> None:
    with pytest.raises(EncoderError, match=reason):
        check_teacher(find_encoder(name).card)


def test_an_encoder_that_predicts_something_else_is_no_teacher() -> None:
    card = find_encoder(TEACHER).card
    assert card.target is not None
    with pytest.raises(EncoderError, match="not an energy in eV/atom"):
        check_teacher(replace(card, target=replace(card.target, name="band_gap_eV", unit="eV")))


def test_what_cannot_be_labelled_is_refused_before_anything_is_written(table, labelled, tmp_path) -> None:
    teacher = find_encoder(TEACHER)
    refused = {
        "not a .parquet file": LabelRequest(as_data(table), teacher, tmp_path / "x.csv"),
        "has no rows": LabelRequest(as_data(table.slice(0, 0)), teacher, tmp_path / "x.parquet"),
        f"column {BULK} already": LabelRequest(as_data(pq.read_table(labelled)), teacher, tmp_path / "x.parquet"),
        "with these settings": LabelRequest(as_data(table), teacher, labelled, max_atoms=7),
        "has no column 'cif'": LabelRequest(as_data(table), teacher, tmp_path / "y.parquet", structure_column="cif"),
    }
    for message, request in refused.items():
        with pytest.raises(SourceError, match=message):
            label_table(request)
    assert not list(tmp_path.iterdir())
    busy = FileLock.take(tmp_path / ".x.parquet.lock", wait=False)
    with pytest.raises(SourceError, match="another process"):
        label_table(LabelRequest(as_data(table), teacher, tmp_path / "x.parquet"))
    busy.release()
    assert not list(tmp_path.iterdir())
    (tmp_path / "z.parquet").write_bytes(b"")
    with pytest.raises(SourceError, match="exists and cannot be read"):
        label_table(LabelRequest(as_data(table), teacher, tmp_path / "z.parquet"))


def test_who_learns_from_labels_says_so_and_what_it_cost(labelled, tmp_path, monkeypatch) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from matlake.export.checkpoints.loaded import Stated
    from matlake.export.checkpoints.loading import load_any
    from matlake.export.packaging import ExportRequest, _draft
    from matlake.export.pretraining import run as pretraining
    from matlake.export.pretraining.run import pretrain_request, run_pretraining
    from matlake.export.pretraining.run_record import read_run

    found = pq.read_table(labelled)
    holes = pa.array([None, None, *found[f"{BULK}_log10"].to_pylist()[2:]], pa.float64())
    path = tmp_path / "holes.parquet"
    place = found.column_names.index(f"{BULK}_log10")
    pq.write_table(found.set_column(place, f"{BULK}_log10", holes), path)
    data = TrainingTable.from_file(path)
    targets = ("shear_modulus_VRH_GPa", VOLUME, f"{BULK}_log10")
    sizes = {"atom_width": 8, "convolutions": 1, "hidden_width": 8}
    request = pretrain_request(
        "cgcnn", data, tmp_path / "run", targets=targets, structure_column="poscar", epochs=2, sizes=sizes, threads=1
    )
    request = replace(request, recipe=replace(request.recipe, shares=(0.5, 0.25, 0.25)))
    monkeypatch.setattr(pretraining, "draw_learning_curve", lambda *_: None)
    record = run_pretraining(request, lambda _: None, lambda _: None)
    assert read_run(request.folder) == record
    assert record.account.missing_target == 0
    assert [(one.name, one.columns) for one in record.teachers] == [(TEACHER, (f"{BULK}_log10",))]
    assert record.results["processor_seconds"] > 0
    assert record.results["seconds"] > 0

    trained = load_any(request.folder, "cgcnn", Stated())
    wanted = ExportRequest("cgcnn", request.folder, "pupil", tmp_path / "pupil", database="mp")
    layers = (Layer("pooled", "layer_pooled", 8),)
    write_card(_draft(wanted, trained, layers, 1), tmp_path)
    card = read_card(tmp_path)
    teacher = find_encoder(TEACHER).card
    assert card.training.teachers == record.teachers
    assert card.trained_on == (*targets, *teacher.trained_on)
    assert "CC BY 4.0" in card.licence
    assert teacher.licence in card.licence
    assert set(teacher.citation) < set(card.citation)
    (tmp_path / MODEL_FILE).touch()
    lines = "\n".join(card_lines(RegisteredEncoder(card, tmp_path, shipped=False)))
    assert f"{TEACHER} computed teacher bulk modulus" in lines
    assert "2 epochs in" in lines

    exposure, met = expose(card, "formation_energy_eV_per_atom", ["a", "b"], None, None)
    assert (exposure.how, exposure.same_property, met.tolist()) == (FROM_SCOPE, True, [True, True])
    assert "MPtrj" in exposure.scope
    assert not expose(card, "band_gap_eV", ["a"], None, None)[0].same_property
    assert "the teacher chgnet-mptrj of pupil" in _training_dates(card, np.array([2010, 2024]))
