"""Power losses, played back: which files a disk may hold after one, from what a command wrote and synced before.

A file keeps what was written before its last fsync, a folder the names that it had at its own last fsync; what came
later may be there or not, each for itself. That is what POSIX promises; most file systems keep more.
"""

import json
import random
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from faults.contents import contents_of, differences
from faults.disk import Event
from faults.striking import Outcome, Trial


@dataclass
class Node:
    """A file or folder: as processes see it, and as it is after a power loss.

    Attributes:
        content: Bytes of a file; None for a folder.
        names: What is in a folder.
        kept: The content that is on the medium.
        kept_names: The names that are on the medium.
    """

    content: bytearray | None
    names: dict[str, "Node"] = field(default_factory=dict)
    kept: bytes = b""
    kept_names: dict[str, "Node"] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, nodes: dict[int, "Node"]) -> "Node":
        """Take a folder that is on the medium."""
        node = cls(None if path.is_dir() else bytearray(path.read_bytes()))
        nodes[path.stat().st_ino] = node
        if node.content is None:
            node.names = {inner.name: cls.read(inner, nodes) for inner in path.iterdir()}
        node.sync()
        return node

    def sync(self) -> None:
        self.kept, self.kept_names = bytes(self.content or b""), dict(self.names)


class Medium:
    """A disk on which the changes that a command has made are made again, one by one."""

    def __init__(self, root: Path) -> None:
        self.root, self.nodes = root, dict[int, Node]()
        self.tree = Node.read(root, self.nodes)

    def apply(self, event: Event) -> None:
        """Make one change."""
        if event.state != "done":
            return
        folder, name = self._place(event.path)
        if event.kind in "cd":
            folder.names[name] = self.nodes[event.node] = Node(bytearray() if event.kind == "c" else None)
        elif event.kind == "w":
            content = self.nodes[event.node].content
            assert content is not None
            content.extend(bytes(max(0, event.offset - len(content))))
            content[event.offset : event.offset + len(event.data)] = event.data
        elif event.kind == "t":
            content = self.nodes[event.node].content
            assert content is not None
            del content[event.offset :]
        elif event.kind == "s":
            self.nodes[event.node].sync()
        elif event.kind in "rl":
            target, new = self._place(event.other)
            target.names[new] = folder.names[name]
            if event.kind == "r":
                del folder.names[name]
        else:
            del folder.names[name]

    def _place(self, path: str) -> tuple[Node, str]:
        *folders, name = Path(path).relative_to(self.root).parts or (".",)
        node = self.tree
        for inner in folders:
            node = node.names[inner]
        return node, name

    def states(self, seed: int) -> Iterator[dict[str, bytes | None]]:
        """Yield what a power loss can leave: files by path, None for folders.

        Nothing that was not synced; all names, and no content that was not synced; and some of both.
        """
        yield dict(_left(self.tree, "", lambda kept, _: kept, lambda kept, _: kept))
        yield dict(_left(self.tree, "", lambda _, now: now, lambda kept, _: kept))
        rng = random.Random(seed)  # noqa: S311 - the same states in every run

        def names(kept: dict[str, Node], now: dict[str, Node]) -> dict[str, Node]:
            either = {name: rng.choice((kept, now)).get(name) for name in sorted(kept.keys() | now.keys())}
            return {name: node for name, node in either.items() if node is not None}

        def content(kept: bytes, now: bytes) -> bytes:
            return rng.choice((kept, now, now[: rng.randrange(len(now) + 1)] if now != kept else now))

        yield dict(_left(self.tree, "", names, content))


def _left(node: Node, path: str, names, content) -> Iterator[tuple[str, bytes | None]]:
    if node.content is not None:
        yield path, content(node.kept, bytes(node.content))
        return
    yield path, None
    for name, inner in names(node.kept_names, node.names).items():
        yield from _left(inner, f"{path}/{name}" if path else name, names, content)


def put_down(state: dict[str, bytes | None], root: Path) -> None:
    """Make a folder hold what a power loss has left."""
    shutil.rmtree(root, ignore_errors=True)
    for path, content in state.items():
        if content is None:
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).write_bytes(content)


def _digest(state: dict[str, bytes | None]) -> str:
    return sha256(repr(sorted(state.items())).encode()).hexdigest()


class Recording:
    """What a command does to the disk, recorded once, and the states that were looked at."""

    def __init__(self, trial: Trial) -> None:
        trial.bench.fresh(trial.command, trial.lake)
        trial.lake.parent.mkdir(exist_ok=True)
        self.medium, self.done, self.looked_at = Medium(trial.lake.parent), 0, set[str]()
        self.run = trial.run(trial.lake)
        self.clean = contents_of(trial.lake)

    def entries(self) -> list[int]:
        """Return the numbers of the changes by which entries of logs get their names."""
        events = enumerate(self.run.events, 1)
        return [number for number, event in events if event.kind == "l" and "/_delta_log/" in event.other]

    def added(self, linked: Event) -> list[tuple[str, int]]:
        """Return the parts that an entry of a log adds when it gets its name: path in the table, bytes."""
        written = [event.data for event in self.run.events if event.kind == "w" and event.node == linked.node]
        actions = [json.loads(line) for line in b"".join(written).splitlines()]
        return [(action["add"]["path"], action["add"]["size"]) for action in actions if "add" in action]

    def until(self, at: int) -> Medium:
        """Return the disk after so many changes; they are made once, so ``at`` never shrinks."""
        while self.done < min(at, len(self.run.events)):
            self.medium.apply(self.run.events[self.done])
            self.done += 1
        return self.medium


def power_losses(trial: Trial, recording: Recording, at: int, numbers: Collection[int] = range(3)) -> Iterator[Outcome]:
    """Let the power fail after so many changes of a command, with each outcome that differs from earlier ones.

    Args:
        trial: The command.
        recording: What it has changed.
        at: The number of changes.
        numbers: Of the states to look at; see ``Medium.states``.
    """
    for number, state in enumerate(recording.until(at).states(at)):
        if number not in numbers:
            continue
        ended = at >= len(recording.run.events)
        digest = _digest(state)
        if digest in recording.looked_at and not (ended and number == 0):
            continue
        recording.looked_at.add(digest)
        put_down(state, trial.lake.parent)
        wrong: list[str] = []
        if ended and number == 0:
            try:
                wrong += [
                    f"lost although done: {text}" for text in differences(contents_of(trial.lake), recording.clean)
                ]
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
                wrong.append(f"lost although done: {type(error).__name__}: {error}")
        repaired, wrong = trial.follow(trial.lake, wrong, damaged=True)
        yield Outcome(trial.name, "power", at, f"state {number}", 0, repaired, wrong)
