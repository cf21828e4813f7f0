"""The checks of a machine, of what is installed on it, and of a lake's place."""

from typing import TYPE_CHECKING

from matlake.diagnosis.checks import DoctorReport, State, caught
from matlake.diagnosis.machine import check_machine
from matlake.diagnosis.plugins import check_plugins
from matlake.diagnosis.software import check_software

if TYPE_CHECKING:
    from matlake.store.storage.places import LakePath


def doctor(path: "str | LakePath" = "lake") -> DoctorReport:
    """Check what this machine can run: Python, packages, ONNX Runtime, plug-ins, memory, limits, and a lake's place.

    Args:
        path: Where the lake is, whether there is one or not.

    Returns:
        All findings. A check that fails is a finding, never an error.
    """
    found = [*check_software(), *check_plugins(), *check_machine()]
    with caught(found, "lake", State.BROKEN, "install the packages that are missing"):
        from matlake.diagnosis.place import check_place  # needs packages that may be missing
        from matlake.store.storage.places import lake_path

        found += check_place(lake_path(path))
    return DoctorReport(tuple(found))
