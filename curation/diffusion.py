"""The apparent diffusion coefficient: fitted from diffusion-weighted volumes, and compared with scanners' maps.

The model is S(b) = S0 exp(-b ADC) (Stejskal and Tanner, J Chem Phys 1965;42:288). ADC is given in 10^-6 mm2/s
(um2/s) everywhere, the unit in which prostate lesions are reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from curation.decay import Signals, decay_rate, fit_quality, log_means, noise_and_floor, noise_weights
from curation.errors import GeometryError, SeriesError
from curation.noise import measurable, sample
from curation.volume import Volume

LOW_B = (50.0, 100.0)
"""Where the lowest b-value should lie, s/mm2 (PI-RADS v2.1, technical specifications of DWI): below, blood that
flows in capillaries adds to the ADC."""

HIGH_B = 1000.0
"""Largest b-value to be used for the ADC, s/mm2 (PI-RADS v2.1): beyond, the decay is no longer exponential."""

ADC_LIMIT = 4000.0
"""Values are cut here, in 10^-6 mm2/s: free water at body temperature has about 3000 (Holz et al., Phys Chem
Chem Phys 2000;2:4740)."""

PLAUSIBLE_MEDIAN = (300.0, 3500.0)
"""The median of a map over tissue lies here, in 10^-6 mm2/s."""

_LARGEST_B = 1e5  # s/mm2
_AGREEMENT_MINIMUM = 10  # elements
_GRID_TOLERANCE_MM = 0.05

Weighting = Literal["noise", "uniform"]


@dataclass(frozen=True, eq=False)
class AdcFit:
    """A fitted ADC map.

    Parameters
    ----------
    adc : Volume
        10^-6 mm2/s, float32, between 0 and `ADC_LIMIT`; 0 where there is no signal.
    s0 : Volume
        Signal at b = 0 by the model, float32 (extrapolated where b = 0 is not among `b_values`).
    residual : Volume
        Root mean square of measured minus modelled signal relative to the modelled signal at the lowest
        b-value, float32; 0 with two b-values.
    r2 : float or None
        Median over `valid` of the share of the variance of ln S that the model explains; None with two
        b-values, where it is 1 by construction.
    used : tuple of int
        Which of the volumes given were used.
    b_values : tuple of float
        Distinct b-values that were used, s/mm2, ascending.
    valid : ndarray of bool, shape (z, y, x)
        Where the ADC is a measurement: signal above noise and the value inside its limits.
    notes : tuple of str
        What was left out and what a reader must know, one sentence each.
    """

    adc: Volume
    s0: Volume
    residual: Volume
    r2: float | None
    used: tuple[int, ...]
    b_values: tuple[float, ...]
    valid: NDArray[np.bool_]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AdcAgreement:
    """How two ADC maps agree inside tissue (Bland and Altman, Lancet 1986;1:307); lengths in 10^-6 mm2/s.

    Parameters
    ----------
    n : int
        Number of elements compared.
    correlation : float or None
        Pearson's; None where one map is constant.
    median_ratio : float
        Median of first over second.
    bias : float
        Mean of first minus second.
    limits : tuple of float
        Lower and upper 95 % limits of agreement: bias -/+ 1.96 standard deviations of the difference.
    """

    n: int
    correlation: float | None
    median_ratio: float
    bias: float
    limits: tuple[float, float]


def fit_adc(
    volumes: Sequence[Volume],
    b_values: Sequence[float],
    *,
    b_min: float | None = None,
    b_max: float | None = None,
    weighting: Weighting = "noise",
) -> AdcFit:
    """Fit the ADC by weighted linear least squares of the logarithm of the signal.

    Volumes of one b-value (directions, repetitions) are first combined by their geometric mean, which for
    directions is the trace-weighted signal. With ``noise``, the variance of ln S is taken as
    (sigma / S)^2 + `MODEL_ERROR`^2: the first term is what noise does (Salvador et al., Hum Brain Mapp
    2005;24:144), the second keeps what is not noise from counting for nothing where the signal is high.
    S is the signal predicted by an unweighted fit (Veraart et al., Neuroimage 2013;81:335). With
    ``uniform``, all b-values count alike, as in scanners' maps.

    Without `b_min` and `b_max` the b-values are chosen by PI-RADS v2.1: up to 1000 s/mm2, and b = 0 left out
    where a b-value of 50 to 100 is there. Where fewer than two remain, more are used and `notes` says so.

    Parameters
    ----------
    volumes : sequence of Volume
        On one grid, corrected for motion; each is read once.
    b_values : sequence of float
        s/mm2, one per volume.
    b_min, b_max : float, optional
        Limits that are kept strictly.
    weighting : {"noise", "uniform"}

    Returns
    -------
    AdcFit

    Raises
    ------
    SeriesError
        If there are not as many b-values as volumes, one is no b-value, or fewer than two distinct ones
        remain.
    GeometryError
        If the volumes do not lie on one grid.

    Examples
    --------
    >>> fit = fit_adc([dwi.volume(k) for k in range(dwi.n_volumes)], dwi.b_values)  # doctest: +SKIP
    >>> fit.adc.array[fit.valid].mean()  # doctest: +SKIP
    1310.2
    """
    if weighting not in ("noise", "uniform"):
        raise SeriesError(f"The weighting of an ADC fit is 'noise' or 'uniform'; got {weighting!r}.")
    chosen, notes = _chosen(volumes, b_values, b_min, b_max)
    b = np.array(sorted(chosen), dtype=np.float64)
    groups = _read(volumes, [chosen[value] for value in b])
    arrays = [[volume.array for volume in group] for group in groups]
    noise, floor = noise_and_floor(arrays[0][0], arrays[-1][0])
    logs, known = log_means(arrays, noise)
    signal = known & (logs[0] > np.float32(math.log(floor)))
    counts = np.array([len(group) for group in groups], dtype=np.float32)
    weights: Signals = np.ones_like(counts)[:, None, None, None]
    rate, mean_b, mean_log = decay_rate(b, logs, weights)
    if weighting == "noise" and len(b) > 2:
        weights = noise_weights(b, logs, rate, counts, noise)
        rate, mean_b, mean_log = decay_rate(b, logs, weights)
    raw = 1e6 * rate
    adc = np.where(signal, np.clip(raw, 0, ADC_LIMIT), 0).astype(np.float32)
    valid = signal & (raw > 0) & (raw < ADC_LIMIT)
    model = mean_log + adc * np.float32(1e-6) * mean_b
    used = sorted(k for numbers in chosen.values() for k in numbers)
    notes.append(_cut(signal, valid))
    return _result(groups[0][0], b, logs, weights, adc, np.where(signal, model, -np.inf), valid, used, notes)


def calculated_b(fit: AdcFit, b: float = 1400.0) -> Volume:
    """Return the signal that the fit predicts at a b-value, float32; 0 where there is no signal.

    Parameters
    ----------
    fit : AdcFit
    b : float
        s/mm2; PI-RADS v2.1 asks for at least 1400.

    Raises
    ------
    SeriesError
        If `b` is no b-value.
    """
    _check_b(b, "got")
    values = fit.s0.array * np.exp(fit.adc.array * np.float32(-1e-6 * b))
    return Volume(_frozen(values), fit.s0.affine, fit.s0.frame_of_reference_uid)


def normalise_adc(volume: Volume) -> tuple[Volume, str]:
    """Return an ADC map in 10^-6 mm2/s, and one sentence on what was done.

    Scanners store 10^-6 mm2/s (Siemens, GE), 10^-3 mm2/s (Philips) or mm2/s, often without saying so. The unit
    is the one that brings the median of the values above 0 in the middle of the image into `PLAUSIBLE_MEDIAN`;
    the common units differ by 1000, so that at most one does. 10^-5 mm2/s is considered where none of them does.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    volume : Volume
        float32; values that are not finite or negative are 0.
    note : str

    Raises
    ------
    SeriesError
        If no unit makes the map plausible.
    """
    values = np.nan_to_num(measurable(volume.array))
    middle = values[tuple(slice(n // 4, n - n // 4) for n in values.shape)]
    positive = sample(middle[middle > 0])
    median = float(np.median(positive)) if positive.size else 0.0
    low, high = PLAUSIBLE_MEDIAN
    units = {1.0: "10^-6 mm2/s", 1e3: "10^-3 mm2/s", 1e6: "mm2/s", 10.0: "10^-5 mm2/s"}
    factor = next((factor for factor in units if low <= median * factor <= high), None)
    if factor is None:
        raise SeriesError(
            f"An ADC map has a tissue median between {low:g} and {high:g} in 10^-6 mm2/s; the median of this one is "
            f"{median:g}, which fits none of {', '.join(units.values())}. Multiply it by the right factor first."
        )
    scaled = _frozen(np.maximum(values, 0) * np.float32(factor))
    note = f"ADC map stored in {units[factor]}, recognised by its tissue median of {median:.4g}" + (
        "." if factor == 1 else f", multiplied by {factor:g}."
    )
    return Volume(scaled, volume.affine, volume.frame_of_reference_uid), note


def compare_adc(fit: AdcFit, vendor: Volume) -> AdcAgreement | None:
    """Compare a fit with the scanner's map of the same acquisition.

    Parameters
    ----------
    fit : AdcFit
    vendor : Volume
        In 10^-6 mm2/s (see `normalise_adc`), on the grid of the fit.

    Returns
    -------
    AdcAgreement or None
        Fit against vendor where both hold a measurement; None where fewer than 10 elements do.

    Raises
    ------
    GeometryError
        If the two lie on different grids.
    """
    _check_grid(fit.adc, vendor, "The scanner's map")
    other = measurable(vendor.array).astype(np.float64)
    common = fit.valid & (other > 0)
    if np.count_nonzero(common) < _AGREEMENT_MINIMUM:
        return None
    ours, theirs = fit.adc.array[common].astype(np.float64), other[common]
    difference = ours - theirs
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    varied = ours.std() > 0 and theirs.std() > 0
    return AdcAgreement(
        n=int(common.sum()),
        correlation=float(np.corrcoef(ours, theirs)[0, 1]) if varied else None,
        median_ratio=float(np.median(ours / theirs)),
        bias=bias,
        limits=(bias - spread, bias + spread),
    )


def _chosen(
    volumes: Sequence[Volume], b_values: Sequence[float], b_min: float | None, b_max: float | None
) -> tuple[dict[float, list[int]], list[str]]:
    """Return which volumes to use, by b-value, and what to say about it."""
    if len(volumes) != len(b_values):
        raise SeriesError(f"An ADC fit needs one b-value per volume; got {len(b_values)} for {len(volumes)} volumes.")
    found: dict[float, list[int]] = {}
    for k, value in enumerate(b_values):
        _check_b(value, f"volume {k} has")
        found.setdefault(float(round(value)), []).append(k)  # Philips marks repeated b = 0 by 0.001, 0.002, ...
    if b_min is not None or b_max is not None:
        kept = [b for b in found if (b_min or 0) <= b <= (math.inf if b_max is None else b_max)]
        notes = [_left_out([b for b in found if b not in kept], "by the limits that were asked for")]
    else:
        kept, notes = _recommended(sorted(found))
    if len(kept) < 2:
        raise SeriesError(
            f"An ADC needs at least two different b-values; there are {_listed(found) or 'none'}"
            + ("." if b_min is b_max is None else f", of which {_listed(kept) or 'none'} lie within the limits.")
            + " Give more volumes or wider limits."
        )
    return {b: found[b] for b in kept}, notes


def _check_b(b: float, whose: str) -> None:
    if not 0 <= b <= _LARGEST_B:
        raise SeriesError(f"A b-value is a number from 0 to {_LARGEST_B:g} s/mm2; {whose} {b!r}.")


def _recommended(found: Sequence[float]) -> tuple[list[float], list[str]]:
    """Choose b-values by PI-RADS v2.1."""
    kept = [b for b in found if b <= HIGH_B]
    if len(kept) < 2:
        beyond = [b for b in found if b > HIGH_B]
        return list(found), [
            f"b = {_listed(beyond)} s/mm2 had to be used: above {HIGH_B:g} the ADC comes out too low." if beyond else ""
        ]
    low = any(LOW_B[0] <= b <= LOW_B[1] for b in kept)
    if low and len([b for b in kept if b >= LOW_B[0]]) >= 2:
        kept = [b for b in kept if b >= LOW_B[0]]
    notes = [_left_out([b for b in found if b < kept[0]], "because perfusion raises the ADC below 50")]
    notes.append(_left_out([b for b in found if b > HIGH_B], f"because the decay is not exponential above {HIGH_B:g}"))
    if kept[0] < LOW_B[0]:
        notes.append(f"b = {kept[0]:g} s/mm2 was used: perfusion raises the ADC.")
    return kept, notes


def _left_out(b_values: Sequence[float], reason: str) -> str:
    return f"b = {_listed(b_values)} s/mm2 was left out, {reason}." if b_values else ""


def _listed(b_values: Sequence[float] | dict[float, list[int]]) -> str:
    return ", ".join(f"{b:g}" for b in sorted(b_values))


def _cut(signal: NDArray[np.bool_], valid: NDArray[np.bool_]) -> str:
    """Say how much of the map was cut at its limits."""
    share = 1 - float(valid.sum()) / max(float(signal.sum()), 1.0)
    return f"{share:.1%} of the map lay outside 0 to {ADC_LIMIT:g} and was cut there." if share >= 0.001 else ""


def _read(volumes: Sequence[Volume], numbers: Sequence[Sequence[int]]) -> list[list[Volume]]:
    """Return the volumes of each b-value; all on one grid."""
    groups = [[volumes[k] for k in group] for group in numbers]
    for group in groups:
        for volume in group:
            _check_grid(groups[0][0], volume, "A volume")
    return groups


def _check_grid(reference: Volume, other: Volume, name: str) -> None:
    if reference.shape != other.shape:
        raise GeometryError(
            f"{name} has the shape {other.shape} and the first one {reference.shape}; resample it onto that grid first."
        )
    corners = np.array([[0, 0, 0], [reference.shape[0], 0, 0], [0, reference.shape[1], 0], [0, 0, reference.shape[2]]])
    apart = float(np.abs(reference.to_lps(corners) - other.to_lps(corners)).max())
    if apart > _GRID_TOLERANCE_MM:
        raise GeometryError(
            f"{name} lies {apart:.2f} mm away from the grid of the first one; resample it onto that grid first."
        )


def _result(
    first: Volume,
    b: NDArray[np.float64],
    logs: Signals,
    weights: Signals,
    adc: Signals,
    log_s0: Signals,
    valid: NDArray[np.bool_],
    used: Sequence[int],
    notes: Sequence[str],
) -> AdcFit:
    rate = adc * np.float32(1e-6)
    s0 = np.exp(np.minimum(log_s0, np.float32(math.log(np.finfo(np.float32).max) - 1)))
    residual, r2 = np.zeros_like(adc), None
    if len(b) > 2:
        residual, r2 = fit_quality(b, logs, weights, rate, log_s0, valid)

    def on_grid(values: NDArray[Any]) -> Volume:
        return Volume(_frozen(values.astype(np.float32)), first.affine, first.frame_of_reference_uid)

    valid.flags.writeable = False
    return AdcFit(
        adc=on_grid(adc),
        s0=on_grid(s0),
        residual=on_grid(residual),
        r2=r2,
        used=tuple(used),
        b_values=tuple(float(value) for value in b),
        valid=valid,
        notes=tuple(note for note in notes if note),
    )


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    values.flags.writeable = False
    return values
