"""Motion between the volumes of a diffusion-weighted or dynamic series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from curation import agreement, geometry
from curation.derivation import Derivation
from curation.errors import RegistrationError
from curation.geometry import Array
from curation.problems import Problem
from curation.reading.dicom_io import Progress
from curation.registration import guard
from curation.registration.parameters import (
    Engine,
    RegistrationParameters,
    check_honoured,
    default_parameters,
)
from curation.registration.poses import rotation_vector
from curation.registration.pyramid import finite
from curation.registration.results import Agreement, ResampledVolumes, engine_version, in_threads
from curation.series import Series
from curation.volume import Volume


@dataclass(frozen=True, eq=False)
class MotionCorrection:
    """Where the volumes of a series lie relative to one of them.

    Parameters
    ----------
    series : Series
    reference : int
        Volume that stays where it is.
    transforms : ndarray, shape (n_volumes, 4, 4)
        Maps an LPS point (mm) seen in volume k to where it lies in the reference volume; identity for the reference
        and for volumes that have not moved.
    flags : tuple of tuple of Problem
        For each volume, what a person should look at.
    parameters : RegistrationParameters
    engine : str
        ``lightbox`` or ``dipy``.
    engine_version : str
    sources : tuple of Volume
        The volumes as acquired; 0 where a value was no number.
    """

    series: Series
    reference: int
    transforms: Array
    flags: tuple[tuple[Problem, ...], ...]
    parameters: RegistrationParameters
    engine: Engine
    engine_version: str
    sources: tuple[Volume, ...] = field(repr=False)

    def __repr__(self) -> str:
        moved = int((self.displacement_mm > 0).sum())
        return f"<MotionCorrection of {self.series!r}: {moved} of {len(self.sources)} volumes moved>"

    @classmethod
    def none(cls, series: Series) -> MotionCorrection:
        """Return a series as acquired, as if nothing in it had moved."""
        volumes = _read(series)
        still = np.repeat(np.eye(4)[np.newaxis], len(volumes), axis=0)
        flags = tuple(tuple(guard.value_flags(volume)) for volume in volumes)
        chosen = default_parameters("lightbox", "motion_correction")
        version = engine_version("lightbox")
        sources = tuple(finite(volume) for volume in volumes)
        return cls(series, _reference(series), still, flags, chosen, "lightbox", version, sources)

    @property
    def displacement_mm(self) -> Array:
        """How far each volume is moved at the centre of the reference volume, mm, shape (n_volumes,)."""
        centre = self.sources[self.reference].centre_mm
        return np.array([np.linalg.norm(geometry.apply_affine(t, centre) - centre) for t in self.transforms])

    @property
    def rotation_degrees(self) -> Array:
        """How far each volume is turned, degrees, shape (n_volumes,)."""
        return np.array([np.degrees(np.linalg.norm(rotation_vector(t[:3, :3]))) for t in self.transforms])

    @property
    def volumes(self) -> Sequence[Volume]:
        """The corrected volumes, float32 on the reference's grid, interpolated once, each when it is read.

        What has not moved is as acquired, value for value.
        """
        target = self.sources[self.reference]
        return ResampledVolumes(
            self.sources, self.transforms, target.affine, target.shape, target.frame_of_reference_uid
        )

    @cached_property
    def metrics(self) -> tuple[Agreement, ...]:
        """How well each volume lies on the reference, before and after, in the region around the centre."""
        return tuple(in_threads(self._agreement, range(len(self.sources))))

    def _agreement(self, k: int) -> Agreement:
        return agreement_between(self.sources[self.reference], self.sources[k], self.transforms[k])

    @property
    def derivation(self) -> Derivation:
        """What the result is made from and how, for writing it."""
        return Derivation(
            function="motion_correction",
            source=self.series,
            volumes=self.volumes,
            role=self.series.role,
            description=f"{self.series.description[:45]} motion-corrected".strip(),
            engine=self.engine,
            engine_version=self.engine_version,
            parameters=self.parameters.to_json(),
            transforms=self.transforms,
            b_values=self.series.b_values,
            times_s=known_times(self.series),
            notes=tuple(f"Volume {k}: {flag}" for k, flags in enumerate(self.flags, start=1) for flag in flags),
        )


def known_times(series: Series) -> tuple[float, ...] | None:
    """Return the acquisition times of a series where all are known."""
    times = series.acquisition_times_s
    known = tuple(time for time in times or () if time is not None)
    return known if times and len(known) == len(times) else None


def agreement_between(static: Volume, moving: Volume, transform: Array) -> Agreement:
    """Measure how well a volume lies on another, by the scanner's positions and with a transform.

    `transform`, shape (4, 4), maps an LPS point of `moving` to where it lies in `static`.
    """
    before = _likeness(static, moving, np.eye(4)), agreement.edge_overlap(static, moving)
    if np.array_equal(transform, np.eye(4)):
        after = before
    else:
        after = _likeness(static, moving, transform), agreement.edge_overlap(static, moving, transform=transform)
    return Agreement(before[0], after[0], before[1], after[1])


def _likeness(static: Volume, moving: Volume, transform: Array) -> float | None:
    points = guard.region_points(static)
    seen = moving.sample(geometry.apply_affine(geometry.inverse(transform), points), outside=np.nan)
    return agreement.nmi(static.sample(points, outside=np.nan), seen)


def motion_correct(
    series: Series,
    parameters: RegistrationParameters | None = None,
    engine: Engine = "lightbox",
    *,
    reference: int | None = None,
    refine_gland: bool = False,
    progress: Progress | None = None,
) -> MotionCorrection:
    """Find and undo the motion between the volumes of a series.

    Parameters
    ----------
    series : Series
        Diffusion-weighted or dynamic; of a single volume there is nothing to correct, and the result says so.
    parameters : RegistrationParameters, optional
        `default_parameters` of the engine without it.
    engine : str
        ``lightbox``: rigid (affine with an affine step in the parameters), by the correlation ratio. ``dipy``: the
        algorithm of the ProCancer-I curation tool.
    reference : int, optional
        Volume that stays; without it that with the lowest b-value, or the first time point.
    refine_gland : bool
        Follow the region around the centre, where the gland is, by itself after the whole pelvis: mutual information
        with a prior at the pelvis' result. ``lightbox`` only.
    progress : callable, optional
        Called with the number of volumes done and of all.

    Returns
    -------
    MotionCorrection

    Raises
    ------
    IrregularSeriesError, PixelDataError
        As `Series.volume`.
    ParameterError
        If the engine does not honour a parameter.
    RegistrationError
        If there is no volume `reference`, or ``dipy`` cannot work with the images.
    """
    chosen = parameters or default_parameters(engine, "motion_correction")
    check_honoured(chosen, engine, "motion_correction")
    if refine_gland and engine != "lightbox":
        raise RegistrationError("Only the lightbox engine follows the gland by itself; leave refine_gland out.")
    at = _reference(series) if reference is None else reference
    if not 0 <= at < max(series.n_volumes, 1):
        raise RegistrationError(f"The reference must be a volume from 0 to {series.n_volumes - 1}; got {at}.")
    volumes = _read(series)
    if engine == "dipy":
        from curation.registration.dipy_engine import motion_transforms

        transforms = motion_transforms(volumes, at, chosen, progress)
        flags = guard.flags_of(volumes, at, transforms)
    else:
        from curation.registration.lightbox_engine import motion_transforms as own_transforms

        transforms, flags = own_transforms(volumes, at, chosen, refine_gland=refine_gland, progress=progress)
    sources = tuple(finite(volume) for volume in volumes)
    return MotionCorrection(series, at, transforms, flags, chosen, engine, engine_version(engine), sources)


def read_volumes(series: Series) -> tuple[Volume, ...]:
    """Return all volumes of a series; 0 where a value is no number."""
    return tuple(finite(volume) for volume in _read(series))


def _read(series: Series) -> tuple[Volume, ...]:
    return tuple(in_threads(series.volume, range(max(series.n_volumes, 1))))


def _reference(series: Series) -> int:
    return int(np.argmin(series.b_values)) if series.b_values else 0
