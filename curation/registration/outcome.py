"""What registration found, as JSON and back: a result that is stored need not be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curation.errors import ResultStoreError
from curation.geometry import check_affine
from curation.problems import Problem
from curation.registration.coregister import CoRegistration
from curation.registration.motion import MotionCorrection, read_volumes
from curation.registration.parameters import RegistrationParameters
from curation.series import Series


def motion_outcome(found: MotionCorrection) -> dict[str, Any]:
    """Return a motion correction as JSON: transforms (LPS mm), displacements in mm, turns in degrees, flags."""
    return {
        "role": found.series.role,
        "reference": found.reference,
        "transforms": found.transforms.tolist(),
        "displacement_mm": found.displacement_mm.round(4).tolist(),
        "rotation_degrees": found.rotation_degrees.round(4).tolist(),
        "flags": [[flag.to_json() for flag in flags] for flags in found.flags],
        "parameters": found.parameters.to_json(),
        "engine": found.engine,
        "engine_version": found.engine_version,
    }


def restore_motion(series: Series, outcome: Mapping[str, Any]) -> MotionCorrection:
    """Return a stored motion correction of a series.

    Raises
    ------
    ResultStoreError
        If what is stored does not fit the series.
    """
    try:
        transforms = np.stack([check_affine(matrix) for matrix in outcome["transforms"]])
        flags = tuple(
            tuple(Problem(str(flag["code"]), str(flag["message"])) for flag in flags) for flags in outcome["flags"]
        )
        reference = int(outcome["reference"])
        if not len(transforms) == len(flags) == series.n_volumes or not 0 <= reference < series.n_volumes:
            raise ValueError(f"{len(transforms)} transforms for {series.n_volumes} volumes")
        parameters = RegistrationParameters.from_json(outcome["parameters"])
        engine, version = outcome["engine"], str(outcome["engine_version"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultStoreError(
            f"The stored motion correction of {series.description or series.uid!r} does not fit it ({error}). "
            "Compute it again with --again."
        ) from error
    sources = read_volumes(series)
    return MotionCorrection(series, reference, transforms, flags, parameters, engine, version, sources)


def coregistration_outcome(found: CoRegistration) -> dict[str, Any]:
    """Return a co-registration as JSON: what was found and used (LPS mm), whether it was accepted, and why."""
    return {
        "role": found.moving.series.role,
        "accepted": found.accepted,
        "reasons": list(found.reasons),
        "candidate": found.candidate.tolist(),
        "parameters": found.parameters.to_json(),
        "engine": found.engine,
        "engine_version": found.engine_version,
    }


def restore_coregistration(moving: MotionCorrection, static: Series, outcome: Mapping[str, Any]) -> CoRegistration:
    """Return a stored co-registration of a motion-corrected series.

    Raises
    ------
    ResultStoreError
        If what is stored is none.
    """
    try:
        return CoRegistration(
            moving=moving,
            static=static,
            candidate=check_affine(outcome["candidate"]),
            accepted=bool(outcome["accepted"]),
            reasons=tuple(str(reason) for reason in outcome["reasons"]),
            parameters=RegistrationParameters.from_json(outcome["parameters"]),
            engine=outcome["engine"],
            engine_version=str(outcome["engine_version"]),
            static_volume=static.volume(),
        )
    except (KeyError, TypeError, ValueError) as error:
        name = moving.series.description or moving.series.uid
        raise ResultStoreError(
            f"The stored co-registration of {name!r} cannot be read ({error}). Compute it again with --again."
        ) from error
