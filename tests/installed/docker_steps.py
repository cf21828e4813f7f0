"""The steps of the Dockerfile, run on this machine: there is no Docker where the tests run, so no image is built.

``stages`` reads the file. ``follow`` copies what it copies and runs what it runs, in an environment in a folder that
stands for ``/opt/matlake``; ``serve`` starts what the image starts, and asks what its health check asks.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from environments import ROOT

DOCKERFILE = ROOT / "Dockerfile"
PLACE = "/opt/matlake"
PATIENCE_S = 120.0


@dataclass
class Stage:
    """A stage of the file.

    Attributes:
        base: What it starts from.
        name: Its own name, or an empty one.
        steps: Instructions in order, in capitals, with what follows each.
    """

    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Return what follows an instruction, wherever it stands."""
        return [rest for name, rest in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        """Return what follows an instruction where it stands last, as Docker takes it."""
        return self.all(instruction)[-1]


def stages(text: str | None = None) -> list[Stage]:
    """Read a Dockerfile, its variables put in."""
    text = DOCKERFILE.read_text("utf-8") if text is None else text
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    variables: dict[str, str] = {}
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "ARG":
            key, _, value = rest.partition("=")
            variables[key] = value
        elif name == "FROM":
            base, _, own = re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], rest).partition(" AS ")
            found.append(Stage(base, own))
        elif name:
            found[-1].steps.append((name, rest.strip()))
    return found


def arguments(text: str) -> list[str]:
    """Return the arguments of an instruction in the form that needs no shell."""
    found: list[str] = json.loads(text)
    return found


def copied(stage: Stage) -> list[tuple[list[str], str]]:
    """Return what a stage copies from the checkout, and where to."""
    pairs = [shlex.split(rest) for rest in stage.all("COPY") if not rest.startswith("--from")]
    return [(sources, target) for *sources, target in pairs]


def follow(stage: Stage, folder: Path, environment: Path) -> None:
    """Copy and run what a stage does, in order, in an environment that may be there already."""
    for name, rest in stage.steps:
        if name == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                place = folder / target if len(sources) == 1 and not target.endswith("/") else folder / target / source
                place.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)
        elif name == "RUN":
            started = time.monotonic()
            command = rest.replace(PLACE, shlex.quote(str(environment)))
            command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", command)
            subprocess.run(["/bin/sh", "-c", command], cwd=folder, check=True, env=plain_environment())
            print(f"RUN {rest}: {time.monotonic() - started:.0f} s", flush=True)


def plain_environment(**more: str) -> dict[str, str]:
    """Return the variables of this process without those that lead to a checkout or a lake."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MATLAKE")}
    kept.pop("PYTHONPATH", None)
    return kept | more


@contextlib.contextmanager
def serve(stage: Stage, environment: Path, lake: Path, *heads: str) -> Iterator[str]:
    """Start what the image starts, wait until its health check passes, and stop it as Docker does.

    Yields:
        The address.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = dict(pair.split("=", 1) for pair in shlex.split(stage.last("ENV")))
    path = variables.pop("PATH").replace(PLACE, str(environment)).replace("$PATH", os.environ["PATH"])
    surroundings = plain_environment(**variables | {"PATH": path, "MATLAKE_LAKE": str(lake)})
    command = [part.replace(stage.last("EXPOSE"), port) for part in arguments(stage.last("ENTRYPOINT"))]
    command = [part.replace("0.0.0.0", "127.0.0.1") for part in command]  # noqa: S104 - not beyond this machine
    _, _, check = stage.last("HEALTHCHECK").partition("CMD ")
    asked = [part.replace(stage.last("EXPOSE"), port) for part in arguments(check)]
    with subprocess.Popen([environment / "bin" / command[0], *command[1:], *heads], env=surroundings) as server:
        try:
            until = time.monotonic() + PATIENCE_S
            while subprocess.run(asked, env=surroundings, capture_output=True, check=False).returncode:
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit("the health check does not pass")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
            server.send_signal(signal.SIGTERM)
            if server.wait(PATIENCE_S):
                raise SystemExit(f"the server ended with exit code {server.returncode}")
        finally:
            server.kill()
