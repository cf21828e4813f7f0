"""A disk that fails below commands that write: some of the faults of ``faults.long``, which goes through all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.buckets import WAYS, BucketTrial, leads_to
from faults.disk import Strike, bad_sector, failing_disk, full_disk, missing
from faults.power import Recording, power_losses
from faults.scenarios import COMMANDS, Bench, bench
from faults.striking import Trial
from object_store import ObjectStore

if reason := missing():
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults")
    with failing_disk(folder) as disk, bench(folder, disk) as prepared:
        yield prepared


@pytest.fixture(scope="module")
def trials(made: Bench) -> dict[str, Trial]:
    return {name: Trial(made, name, tidy=False) for name in COMMANDS}


def committing(trial: Trial, kind: str) -> list[int]:
    """The numbers of the changes of a kind that a command makes to logs."""
    events = enumerate(trial.events, 1)
    return [number for number, event in events if event.kind == kind and "_delta_log" in event.path]


def test_native_writers_are_counted_too(trials: dict[str, Trial]) -> None:
    """What delta-rs writes, in Rust, and what pyarrow writes, in C++; each kind of change is there."""
    events = trials["embed"].events
    written = [event for event in events if event.kind == "w"]
    assert any("_delta_log" in event.path and b'"add"' in event.data for event in written)
    assert any(event.path.endswith(".parquet.tmp") and event.data.startswith(b"PAR1") for event in written)
    assert {event.kind for event in events} == set("cdlrsuw")


@pytest.mark.parametrize("command", ["import again", "datasets delete"])
def test_a_command_that_is_killed_as_it_commits_is_done_by_the_next_run(trials: dict[str, Trial], command: str) -> None:
    trial = trials[command]
    outcome = trial.strike(Strike(committing(trial, "l")[0] + 1 if command != "datasets delete" else 2))
    assert outcome.code == -9
    assert not outcome.wrong


def test_a_full_disk_is_one_line_and_costs_nothing(trials: dict[str, Trial]) -> None:
    trial = trials["embed"]
    outcome = trial.strike(full_disk(committing(trial, "w")[0]))
    assert (outcome.fault, outcome.code) == ("ENOSPC", 1)
    assert not outcome.wrong


def test_a_bad_sector_below_a_log_is_said_by_compact(trials: dict[str, Trial]) -> None:
    """Whether the commit was recorded is not known, and that is an error of the whole run."""
    trial = trials["compact"]
    outcome = trial.strike(bad_sector(committing(trial, "w")[0]))
    assert (outcome.fault, outcome.code) == ("EIO", 1)
    assert not outcome.wrong


def test_what_a_command_has_done_outlasts_a_loss_of_power(trials: dict[str, Trial]) -> None:
    """A part is on the medium when a commit names it; an empty entry of a log is repaired; at the end all is there."""
    trial = trials["embed"]
    recording = Recording(trial)
    named = 0
    for number in recording.entries():
        entry = recording.run.events[number - 1]
        kept = next(recording.until(number).states(0))
        table = Path(entry.other).parents[1].relative_to(recording.medium.root)
        for path, size in recording.added(entry):
            assert len(kept[(table / path).as_posix()] or b"") == size
            named += 1
    assert named == 4
    amid = list(power_losses(trial, recording, recording.entries()[-1], [1]))
    ended = list(power_losses(trial, recording, len(recording.run.events), [0]))
    assert not [text for outcome in (*amid, *ended) for text in outcome.wrong]
    assert all(any("is empty" in text or "was damaged" in text for text in outcome.repaired) for outcome in amid)
    assert not ended[0].repaired


def test_a_commit_to_a_bucket_whose_answer_is_lost_is_made_once(
    made: Bench, object_store: ObjectStore, tmp_path: Path
) -> None:
    with leads_to(object_store, tmp_path / "cache"):
        trial = BucketTrial(made, "embed --shard", object_store)
        assert trial.clean
        puts = [request.key for request in trial.requests if request.method in WAYS["lost answer"]]
        commits = [number for number, key in enumerate(puts) if "/embeddings/_delta_log/" in key]
        outcome = trial.fail("lost answer", commits[-1])
    assert outcome.struck
    assert outcome.code == trial.clean[0].code
    assert not outcome.wrong
