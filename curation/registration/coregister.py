"""A series laid on the axial T2w, where that is better than where the scanner's own positions put it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from curation.derivation import Derivation
from curation.errors import RegistrationError
from curation.geometry import Array
from curation.registration import earned
from curation.registration.distortion import Distortion, distortion_of
from curation.registration.motion import MotionCorrection, agreement_between, known_times
from curation.registration.parameters import (
    Engine,
    RegistrationParameters,
    check_honoured,
    default_parameters,
)
from curation.registration.results import Agreement, ResampledVolumes, engine_version, in_threads
from curation.series import Series
from curation.volume import Volume

Accept = Literal["earned", "always", "never"]


@dataclass(frozen=True, eq=False)
class CoRegistration:
    """A series on the grid of a static one.

    Parameters
    ----------
    moving : MotionCorrection
        The series, with the motion between its volumes (identity where it was not corrected).
    static : Series
    candidate : ndarray, shape (4, 4)
        What registration found: maps an LPS point (mm) of the moving reference volume to where it lies in the static.
    accepted : bool
        Whether the candidate is used; else the positions that the scanner wrote are.
    reasons : tuple of str
        Why, one sentence each.
    parameters : RegistrationParameters
    engine, engine_version : str
    """

    moving: MotionCorrection
    static: Series
    candidate: Array
    accepted: bool
    reasons: tuple[str, ...]
    parameters: RegistrationParameters
    engine: Engine
    engine_version: str
    static_volume: Volume = field(repr=False)

    def __repr__(self) -> str:
        how = "registered" if self.accepted else "by the scanner's positions"
        return f"<CoRegistration of {self.moving.series!r} on {self.static!r}: {how}>"

    @property
    def transform(self) -> Array:
        """What is used, shape (4, 4): the candidate where it was accepted, else identity."""
        return self.candidate if self.accepted else np.eye(4)

    @property
    def transforms(self) -> Array:
        """Motion and co-registration in one, shape (n_volumes, 4, 4).

        Maps an LPS point seen in volume k to where it lies in the static.
        """
        return np.asarray(self.transform @ self.moving.transforms)

    @property
    def volumes(self) -> Sequence[Volume]:
        """The volumes on the static's grid, float32, interpolated once from the source, each when it is read."""
        return self._on_static(self.moving.sources, self.transforms)

    def _on_static(self, sources: Sequence[Volume], transforms: Array) -> ResampledVolumes:
        static = self.static_volume
        return ResampledVolumes(sources, transforms, static.affine, static.shape, static.frame_of_reference_uid)

    @cached_property
    def metrics(self) -> Agreement:
        """How well the reference volume lies on the static, by the scanner's positions and as used."""
        return agreement_between(self.static_volume, self._reference, self.transform)

    @cached_property
    def distortion(self) -> Distortion | None:
        """What is left along the phase encoding of an echo-planar series, which no rigid transform undoes.

        None for other series.
        """
        return distortion_of(self.moving.series, self._reference, self.static_volume, self.transform)

    @property
    def _reference(self) -> Volume:
        return self.moving.sources[self.moving.reference]

    @property
    def derivation(self) -> Derivation:
        """What the result is made from and how, for writing it."""
        series = self.moving.series
        return Derivation(
            function="coregistration",
            source=series,
            volumes=self.volumes,
            role=series.role,
            description=self._described(series),
            engine=self.engine,
            engine_version=self.engine_version,
            parameters=self.parameters.to_json(),
            static=self.static,
            transforms=self.transforms,
            b_values=series.b_values,
            times_s=known_times(series),
            notes=self._notes,
        )

    def _described(self, series: Series) -> str:
        return f"{series.description[:43]} {'co-registered' if self.accepted else 'on static'}".strip()

    @property
    def _notes(self) -> tuple[str, ...]:
        kept = () if self.accepted else ("Not registered: laid on the static series by the scanner's positions.",)
        return (*kept, *self.reasons)

    def follow(self, series: Series) -> Derivation:
        """Lay a map that was computed from the moving series on the static, with the same transform.

        Vendor ADC maps and calculated high b-values lie where their DWI lies. They are never registered by
        themselves: their contrast tells less, and they would come apart from their source.

        Parameters
        ----------
        series : Series

        Returns
        -------
        Derivation

        Raises
        ------
        RegistrationError
            If the series is in another frame of reference than the moving one.
        IrregularSeriesError, PixelDataError
            As `Series.volume`.
        """
        source = self.moving.series
        if series.frame_of_reference_uid != source.frame_of_reference_uid:
            raise RegistrationError(
                f"{series.description or series.uid!r} is in another frame of reference than "
                f"{source.description or source.uid!r}: it cannot follow it. Give a map computed from that series."
            )
        volumes = tuple(in_threads(series.volume, range(series.n_volumes)))
        transforms = np.repeat(self.transform[np.newaxis], len(volumes), axis=0)
        return Derivation(
            function="coregistration",
            source=series,
            volumes=self._on_static(volumes, transforms),
            role=series.role,
            description=self._described(series),
            engine=self.engine,
            engine_version=self.engine_version,
            parameters=self.parameters.to_json(),
            static=self.static,
            transforms=transforms,
            b_values=series.b_values,
            times_s=None,
            related=(source,),
            notes=("It follows the series that it was computed from.", *self._notes),
        )


def coregister(
    moving: MotionCorrection | Series,
    static: Series,
    parameters: RegistrationParameters | None = None,
    engine: Engine = "lightbox",
    *,
    accept: Accept = "earned",
) -> CoRegistration:
    """Lay a series on a static one, usually the axial T2w.

    The positions that the scanner wrote are the default. A registration replaces them only if it earns it: started
    from other places it ends within 1 mm, the displacement is plausible, and edges, which it does not optimise,
    agree better. On real T2w and DCE the similarity rose while the error doubled: rising similarity proves nothing.

    Parameters
    ----------
    moving : MotionCorrection or Series
        A series as it is counts as without motion.
    static : Series
        One regular volume.
    parameters : RegistrationParameters, optional
        `default_parameters` of the engine without it.
    engine : str
        ``lightbox``: rigid, by mutual information with a prior in the region of the gland. ``dipy``: the algorithm
        of the ProCancer-I curation tool.
    accept : str
        ``earned``; ``always`` uses what was found, as the earlier tool does; ``never`` keeps the positions.

    Returns
    -------
    CoRegistration

    Raises
    ------
    IrregularSeriesError, PixelDataError
        As `Series.volume`.
    ParameterError
        If the engine does not honour a parameter.
    RegistrationError
        If the static series has several volumes, is the moving one, or lies in another frame of reference and no
        result can be relied on.
    """
    chosen = parameters or default_parameters(engine, "coregistration")
    check_honoured(chosen, engine, "coregistration")
    if static.n_volumes > 1:
        raise RegistrationError(f"The static series must have one volume; {static!r} has {static.n_volumes}.")
    source = moving if isinstance(moving, MotionCorrection) else MotionCorrection.none(moving)
    if static.uid in source.series.uids:
        raise RegistrationError("A series cannot be laid on itself. Choose another static series.")
    fixed = static.volume()
    elsewhere = _in_another_frame(source.series, static)
    verdict = _verdict(fixed, source.sources[source.reference], chosen, engine, accept)
    if elsewhere and not verdict.accepted:
        raise RegistrationError(
            f"{source.series.description or source.series.uid!r} is in another frame of reference than the static "
            f"series, so that the scanner's positions say nothing, and registration gave no result to rely on: "
            f"{' '.join(verdict.reasons)} Choose a static series of the same frame of reference."
        )
    return CoRegistration(
        moving=source,
        static=static,
        candidate=verdict.candidate,
        accepted=verdict.accepted,
        reasons=verdict.reasons,
        parameters=chosen,
        engine=engine,
        engine_version=engine_version(engine),
        static_volume=fixed,
    )


def _in_another_frame(moving: Series, static: Series) -> bool:
    """Return whether positions of two series cannot be compared (PS3.3 C.7.4.1); where unknown, they are."""
    uids = {moving.frame_of_reference_uid, static.frame_of_reference_uid} - {""}
    return len(uids) > 1


def _verdict(
    static: Volume, moving: Volume, parameters: RegistrationParameters, engine: Engine, accept: Accept
) -> earned.Verdict:
    if accept == "never":
        return earned.Verdict(np.eye(4), False, ("The scanner's positions were kept, as asked.",))
    if engine == "dipy":
        from curation.registration.dipy_engine import coregistration_transform

        verdict = earned.judge(static, moving, coregistration_transform(moving, static, parameters))
    else:
        verdict = earned.register(static, moving, parameters)
    if accept == "always" and not verdict.accepted:
        return earned.Verdict(verdict.candidate, True, ("Used as asked, although:", *verdict.reasons))
    return verdict
