"""Compiled code made ahead, so that nobody waits for the compiler.

numba compiles a kernel when it is first called: seconds for all of them. It keeps the result beside the source, or in
``NUMBA_CACHE_DIR``, for the processor at hand. Whoever installs this package runs ``python -m
curation.registration.warm`` once, and first calls in fresh processes load what is there. On another processor, or
without any of this, kernels are compiled when they are called.

The engine itself is run, on images of a few thousand voxels: numba compiles for each kind of argument anew, and only
the engine knows which kinds it passes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from curation import resampling
from curation.registration import correlation_ratio, information_kernels, kernels, mutual_information, pyramid
from curation.registration.poses import step
from curation.volume import Volume

MODULES = (resampling, pyramid, kernels, information_kernels)
"""Where kernels are."""

_SHAPE = (6, 40, 44)
_AFFINE = np.array([[0, 0, 2.0, -44], [0, 2.0, 0, -40], [3.0, 0, 0, -9], [0, 0, 0, 1]])


def compiled_kernels() -> tuple[Any, ...]:
    """Return all kernels: numba's dispatchers, whose ``stats`` tell what was loaded and what compiled."""
    return tuple(
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__
    )


def warm(beside: Path | None = None) -> int:
    """Call every kernel with each kind of argument that the engine passes; what is not compiled yet is then.

    Parameters
    ----------
    beside : Path, optional
        Folder of another copy of the package ``curation``. What numba keeps there is taken over first, which saves
        the compiling where the sources are the same. It is code that will run: give only what you would import from.

    Returns
    -------
    int
        How many kernels had to be compiled; 0 where everything was there.
    """
    if beside is not None:
        _take_over(beside)
    before = _compiled()
    for kind in (np.float32, np.int16):  # what is converted can be written, what is not cannot: two kinds for numba
        _work_with(*(_image(shift).astype(kind) for shift in (0.0, 0.6)))
    return _compiled() - before


def _compiled() -> int:
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in compiled_kernels())


def _image(shift: float) -> Any:
    z, y, x = np.indices(_SHAPE, dtype=np.float64)
    return 300 + 100 * (np.sin(0.5 * (x + shift)) + np.sin(0.4 * (y - shift)) + np.sin(0.9 * z + 0.1 * x))


def _work_with(static: Any, moving: Any) -> None:
    """Align two images by both measures and interpolate one of them."""
    fixed, other = Volume(static, _AFFINE), Volume(moving, _AFFINE)
    levels = pyramid.pyramid(other)
    correlation_ratio.align(correlation_ratio.Reference(fixed, (900, 900, 900)), levels)
    region = mutual_information.Region(fixed.centre_mm)
    mutual_information.Pair(mutual_information.Target(fixed, region, samples=(1500, 1500)), levels).align()
    other.resampled(_AFFINE, _SHAPE, transform=step([0.5, 0, 0, 0, 0, 0], fixed.centre_mm))


def _take_over(package: Path) -> None:
    """Copy what numba keeps beside the sources of another copy to where it looks for these sources."""
    root = Path(sys.modules["curation"].__path__[0])
    for kernel in compiled_kernels():
        file = Path(sys.modules[kernel.py_func.__module__].__file__ or "")
        kept = package / file.relative_to(root).parent / "__pycache__"
        target = Path(kernel.stats.cache_path)
        for source in kept.glob("*.nb[ic]"):
            if not (target / source.name).exists():
                shutil.copyfile(source, target / source.name)


def main(arguments: Sequence[str]) -> None:
    """Compile ahead; the one argument there may be is `warm`'s."""
    warm(Path(arguments[0]) if arguments else None)


if __name__ == "__main__":
    main(sys.argv[1:])
