"""What the results of registration share: volumes that are interpolated when they are read, and numbers to judge by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar, overload

from curation.errors import VolumeIndexError
from curation.geometry import Array
from curation.volume import Volume

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def engine_version(engine: str) -> str:
    """Return the version of an engine: of this package for ``lightbox``, of DIPY for ``dipy``."""
    try:
        return version("lightbox" if engine == "lightbox" else engine)
    except PackageNotFoundError:
        return "unknown"


def in_threads(work: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
    """Do the same with several items side by side; kernels leave the interpreter free meanwhile."""
    everything = list(items)
    workers = min(len(everything), max(1, len(os.sched_getaffinity(0))))
    if workers < 2:
        return [work(item) for item in everything]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, everything))


class ResampledVolumes(Sequence[Volume]):
    """The volumes of a result, each interpolated from the source when it is read, and not kept.

    Parameters
    ----------
    sources : sequence of Volume
    transforms : ndarray, shape (n, 4, 4)
        Maps an LPS point seen in source volume k to where it lies in the result.
    affine : ndarray, shape (4, 4)
        Of the results: maps (z, y, x, 1) indices to LPS mm.
    shape : tuple of int
        Of each result, (z, y, x).
    frame_of_reference_uid : str
        Of the results.
    """

    def __init__(
        self,
        sources: Sequence[Volume],
        transforms: Array,
        affine: Array,
        shape: tuple[int, int, int],
        frame_of_reference_uid: str,
    ) -> None:
        self._sources, self._transforms = sources, transforms
        self._affine, self._shape, self._frame = affine, shape, frame_of_reference_uid

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> list[Volume]: ...
    def __getitem__(self, index: int | slice) -> Volume | list[Volume]:
        if isinstance(index, slice):
            return in_threads(self.__getitem__, range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise VolumeIndexError(f"There are {len(self)} volumes, numbered from 0; there is no volume {index}.")
        return self._sources[index].resampled(
            self._affine, self._shape, transform=self._transforms[index], frame_of_reference_uid=self._frame
        )


@dataclass(frozen=True)
class Agreement:
    """How well a volume lies on another, before and after.

    Parameters
    ----------
    nmi_before, nmi_after : float or None
        Normalised mutual information, 1 to 2 (`curation.agreement.nmi`). Registration maximises something like it:
        that it rises proves little.
    edge_overlap_before, edge_overlap_after : float or None
        Agreement of edges, about 0 to 1 (`curation.agreement.edge_overlap`), which registration does not look at.

    None where there is too little to compare.
    """

    nmi_before: float | None
    nmi_after: float | None
    edge_overlap_before: float | None
    edge_overlap_after: float | None
