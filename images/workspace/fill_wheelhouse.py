"""Download the wheels of a workspace image with the host's pip, for the image's Python.

The host's Python may be newer than the image's. pip can select files for another interpreter
(``--python-version``), but it evaluates environment markers (``python_version < "3.12"``) for the one it
runs on, so requirements that only the image's Python has would be missing. Here pip runs with the markers of
the image::

    python fill_wheelhouse.py VERSION MACHINE ARGUMENT...     # the arguments go to "pip download"
"""

from __future__ import annotations

import sys
from typing import Any

from pip._internal.cli.main import main as run_pip
from pip._vendor.packaging import markers

# glibc of the image's Debian release, and the oldest that wheels still name.
_NEWEST_GLIBC, _OLDEST_GLIBC = 36, 17


def platforms(machine: str) -> list[str]:
    """List the platform tags that the image accepts, best first."""
    newer = [f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)]
    older = ["manylinux2014"] if machine != "x86_64" else ["manylinux2014", "manylinux2010", "manylinux1"]
    return [*newer, *(f"{name}_{machine}" for name in older), f"linux_{machine}"]


def image_markers(version: str, machine: str) -> dict[str, str]:
    """Return the marker environment of CPython ``version`` (such as ``3.11``) on Linux."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }


def main(arguments: list[str]) -> int:
    """Run ``pip download`` for the image and return its exit status."""
    version, machine, *rest = arguments
    host_environment = markers.default_environment

    def environment() -> Any:
        return {**host_environment(), **image_markers(version, machine)}

    markers.default_environment = environment
    tags = [word for name in platforms(machine) for word in ("--platform", name)]
    abi = f"cp{version.replace('.', '')}"  # abi3 and "none" follow from it
    selection = ["--python-version", version, "--implementation", "cp", "--abi", abi, *tags]
    return run_pip(["download", "--only-binary=:all:", *selection, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
