"""Check that matlake installs and works beside packages of the field that pin what it needs.

Run ``python tests/installed/check_beside.py`` in a checkout; it takes a minute and needs a package index. ``mp-api``
pins ``deltalake<1.6`` and brings pymatgen; ``optimade[server]`` brings FastAPI. What the development environment has
already (torch, chgnet, matminer) is used beside matlake in ``tests/test_beside.py``.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import check_optimade
from environments import ROOT, make_quickly

BESIDE = ("mp-api", check_optimade.SERVER)


def main() -> None:
    """Install all together, use them together, and import from the server."""
    with tempfile.TemporaryDirectory() as scratch:
        started = time.monotonic()
        python = make_quickly(Path(scratch) / "environment", f"{ROOT}[cpu]", *BESIDE)
        print(f"installed in {time.monotonic() - started:.0f} s", flush=True)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        # compiling takes longer than all else, and check_installed.py does it
        environment |= {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"}
        subprocess.run([python, Path(__file__).with_name("beside.py")], check=True, cwd=scratch, env=environment)
        print(f"used together after {time.monotonic() - started:.0f} s", flush=True)
        check_optimade.check(python)
        print(f"imported from the server after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
