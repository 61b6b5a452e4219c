"""The code that process servers run, kept where their unprivileged users may read it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hub_config.instance import Instance
from hub_config.paths import ROOT

_RUNTIME = ("curation", "mlops", "notebooks", "images/workspace")


def runtime_folder(instance: Instance) -> Path:
    """Return where the code is that process servers run."""
    return instance.state / "runtime"


def publish_runtime(instance: Instance) -> None:
    """Copy what a server needs of this checkout to where unprivileged users may read it.

    A checkout may lie in a home that is closed to them; and a server that runs keeps the code it began with.
    """
    target = runtime_folder(instance)
    fresh = target.with_name(f".runtime-{os.getpid()}")
    for part in _RUNTIME:
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / part, fresh / part, ignore=ignore, copy_function=shutil.copy)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
