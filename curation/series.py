"""One series as a person means it: one kind of image, in one or more volumes on one grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from curation.errors import IrregularSeriesError, VolumeIndexError
from curation.geometry import Plane
from curation.problems import Problem
from curation.volume import Volume

Role = Literal[
    "t2w", "dwi", "adc", "dce", "calculated-b", "perfusion-map", "localizer", "pd", "t1w", "other"
]  # fmt: skip

_NO_IMAGES = "It holds no images; a segmentation is read with curation.segmentation.read_seg."


@dataclass(frozen=True, eq=False)
class Series:
    """A series and how to get its volumes.

    Usually this is one DICOM series. A dynamic acquisition that the scanner stored as one DICOM series
    per time point is one `Series` here, with all of their identifiers in `uids`.

    Parameters
    ----------
    uid : str
        Series Instance UID; of the first time point where there are several.
    description, modality : str
        Series Description and Modality; empty where absent.
    role : str
        ``t2w dwi adc dce calculated-b perfusion-map localizer pd t1w other``.
    plane : str
        ``axial coronal sagittal oblique mixed``.
    shape : tuple of int
        Always (volumes, z, y, x). A series without regular volumes has 0 volumes, its number of images as z.
    spacing_mm : tuple of float
        Distance between neighbours along (z, y, x); zeros where there is no regular volume.
    b_values : tuple of float or None
        One per volume in s/mm2, for diffusion-weighted and calculated series.
    acquisition_times_s : tuple of (float or None), or None
        Start of each volume in seconds from the first one's; None for a volume whose time is not known (then from
        the first that is), and None altogether where the volumes have no times of their own.
    problems : tuple of Problem
        What is wrong; a blocking one means that `volume` raises.
    source : callable
        Gives volume k; called by `volume` alone.
    uids : tuple of str
        All Series Instance UIDs, `uid` first.
    number : int or None
        Series Number.
    paths : tuple of Path
        All files, each once: volume by volume, in slice order where the volumes are regular.
    frame_of_reference_uid : str
        Frame of Reference UID; empty where unknown.
    curation_result : bool
        Whether this package wrote it.
    gradient_directions : tuple of (tuple of float, or None), or None
        Direction of the diffusion gradient of each volume as a unit vector in LPS; None for b = 0, for trace images
        and where the header has none, and None altogether where no volume has one.
    """

    uid: str
    description: str
    modality: str
    role: Role
    plane: Plane
    shape: tuple[int, int, int, int]
    spacing_mm: tuple[float, float, float]
    b_values: tuple[float, ...] | None
    acquisition_times_s: tuple[float | None, ...] | None
    problems: tuple[Problem, ...]
    source: Callable[[int], Volume] = field(repr=False)
    uids: tuple[str, ...] = ()
    number: int | None = None
    paths: tuple[Path, ...] = field(default=(), repr=False)
    frame_of_reference_uid: str = ""
    curation_result: bool = False
    gradient_directions: tuple[tuple[float, float, float] | None, ...] | None = None

    def __repr__(self) -> str:
        number = "" if self.number is None else f" {self.number}"
        return f"<Series{number} {self.role} {self.plane} {self.shape} {self.description!r}>"

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return self.shape[0]

    @property
    def regular(self) -> bool:
        """Whether `volume` gives volumes."""
        return self.n_volumes > 0 and not any(problem.blocking for problem in self.problems)

    def volume(self, k: int = 0) -> Volume:
        """Read one volume.

        Parameters
        ----------
        k : int
            0 for the first.

        Returns
        -------
        Volume
            float32 values after Rescale Slope and Intercept.

        Raises
        ------
        IrregularSeriesError
            If the images do not form regular volumes; the message holds the reasons.
        VolumeIndexError
            If there is no volume k.
        PixelDataError
            If a file's pixel data cannot be read.
        """
        if not self.regular:
            reasons = " ".join(str(problem) for problem in self.problems if problem.blocking) or _NO_IMAGES
            name = self.description or self.uid
            raise IrregularSeriesError(f"Series {name!r} has no regular volumes. {reasons}")
        if not 0 <= k < self.n_volumes:
            raise VolumeIndexError(
                f"Series {self.description or self.uid!r} has {self.n_volumes} volume(s), "
                f"numbered from 0 to {self.n_volumes - 1}; there is no volume {k}."
            )
        return self.source(k)
