"""The ADC map of a corrected or co-registered diffusion series."""

from __future__ import annotations

from dataclasses import dataclass

from curation.derivation import Derivation
from curation.diffusion import AdcFit, fit_adc
from curation.errors import SeriesError
from curation.registration.coregister import CoRegistration
from curation.registration.motion import MotionCorrection
from curation.registration.results import engine_version


@dataclass(frozen=True, eq=False)
class RecomputedAdc:
    """An ADC map from registered volumes: the scanner's was computed before its volumes lay on each other.

    Parameters
    ----------
    fit : AdcFit
    derivation : Derivation
        For writing it.
    """

    fit: AdcFit
    derivation: Derivation


def recompute_adc(result: MotionCorrection | CoRegistration) -> RecomputedAdc:
    """Fit the ADC to the volumes of a result, on its grid.

    Parameters
    ----------
    result : MotionCorrection or CoRegistration
        Of a diffusion series with at least two b-values.

    Returns
    -------
    RecomputedAdc
        Values in 10^-6 mm2/s.

    Raises
    ------
    SeriesError
        If the series has no b-values, or fewer than two that can be used.
    """
    moving = result if isinstance(result, MotionCorrection) else result.moving
    series = moving.series
    if series.b_values is None:
        raise SeriesError(f"Series {series.description or series.uid!r} has no b-values: there is no ADC to compute.")
    fit = fit_adc(result.volumes, series.b_values)
    static = None if isinstance(result, MotionCorrection) else result.static
    derivation = Derivation(
        function="adc",
        source=series,
        volumes=(fit.adc,),
        role="adc",
        description=f"{series.description[:36]} ADC recomputed{' on static' if static else ''}".strip(),
        engine="lightbox",
        engine_version=engine_version("lightbox"),
        parameters={"model": "mono-exponential", "weighting": "noise", "b_values": list(fit.b_values)},
        static=static,
        transforms=result.transforms,
        source_volumes=(fit.used,),
        unit=("um2/s", "square micrometer per second"),
        notes=fit.notes,
    )
    return RecomputedAdc(fit, derivation)
