"""Fitting an exponential decay in every element at once: the arithmetic behind the ADC, on plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.noise import measurable, noise_level, otsu, sample

Signals = NDArray[np.float32]

MODEL_ERROR = 0.05
"""Relative error of a signal besides noise: perfusion, kurtosis and motion between b-values."""

_DETECTED = 3.0  # times the noise level: air exceeds it in 1 of 90 elements
_ABOVE_FLOOR = 2.5  # times the median of what has no signal at the highest b-value
_FLOOR_SHARE, _CUT_SHARE = 0.10, 0.15  # of the brightest tissue: more than this is tissue itself
_SMALLEST = 1e-6  # of the brightest tissue, where there is no noise to be seen


def noise_and_floor(low: NDArray[Any], high: NDArray[Any]) -> tuple[float, float]:
    """Return the noise level and the signal at the lowest b-value from which on there is tissue.

    Averaging magnitude images, as scanners do for several excitations and directions, narrows the distribution
    of the noise but leaves its mean: in a mean of many, air is far brighter than the noise around it. The floor
    is therefore measured, as 2.5 times the median of the darker class at the highest b-value, unless that class
    is as bright as tissue.

    Parameters
    ----------
    low, high : ndarray, shape (z, y, x)
        Signal at the lowest and the highest b-value; may hold NaN.

    Returns
    -------
    noise, floor : float
        Both above 0, unless `low` holds no signal: then the floor is infinite.
    """
    dark, bright = (values[values > 0] for values in (measurable(sample(high)), measurable(sample(low))))
    if not bright.size:
        return 1.0, math.inf
    top = float(np.percentile(bright, 99))
    noise = max(noise_level(high) or 0.0, _SMALLEST * top)
    threshold = otsu(dark)
    empty = 0.0 if threshold is None else float(np.median(dark[dark <= threshold]))
    measured = _ABOVE_FLOOR * empty if empty < _FLOOR_SHARE * top else 0.0
    return noise, max(min(measured, _CUT_SHARE * top), _DETECTED * noise)


def log_means(groups: Sequence[Sequence[NDArray[Any]]], noise: float) -> tuple[Signals, NDArray[np.bool_]]:
    """Return the logarithm of the geometric mean of each group of volumes, and where there are data.

    Values below the noise level are raised to it: their logarithm would otherwise be none, or rule the fit.
    Where all volumes of a group are 0 they hold no data (blanked by the scanner, or outside a moved volume).

    Parameters
    ----------
    groups : sequence of sequence of ndarray, shape (z, y, x)
        Volumes of one b-value each.
    noise : float
        Above 0.

    Returns
    -------
    logs : ndarray of float32, shape (groups, z, y, x)
    known : ndarray of bool, shape (z, y, x)
        All values finite, and in each group one above 0.
    """
    shape = groups[0][0].shape
    logs = np.zeros((len(groups), *shape), dtype=np.float32)
    known = np.ones(shape, dtype=np.bool_)
    for k, group in enumerate(groups):
        above = np.zeros(shape, dtype=np.bool_)
        for array in group:
            values = measurable(array).copy()
            good = np.isfinite(values)
            known &= good
            values[~good] = noise
            above |= values > 0
            logs[k] += np.log(np.maximum(values, np.float32(noise), out=values), out=values)
        logs[k] /= len(group)
        known &= above
    return logs, known


def noise_weights(b: NDArray[np.float64], logs: Signals, rate: Signals, counts: Signals, noise: float) -> Signals:
    """Return one over the variance of each logarithm, (noise / S)^2 / count + MODEL_ERROR^2.

    Parameters
    ----------
    b : ndarray, shape (groups,)
        s/mm2.
    logs : ndarray, shape (groups, z, y, x)
    rate : ndarray, shape (z, y, x)
        Decay of an unweighted fit in mm2/s: S is what it predicts.
    counts : ndarray, shape (groups,)
        Volumes per group.
    noise : float
        Of one volume.
    """
    rate = np.clip(rate, 0, None)
    centre = logs.mean(axis=0) + rate * np.float32(b.mean())
    weights = np.empty_like(logs)
    for k, value in enumerate(b):
        relative = np.exp(np.float32(2 * math.log(noise)) - 2 * (centre - rate * np.float32(value)))
        weights[k] = 1 / (relative / counts[k] + np.float32(MODEL_ERROR**2))
    return weights


def decay_rate(b: NDArray[np.float64], logs: Signals, weights: Signals) -> tuple[Signals, Signals, Signals]:
    """Solve the weighted straight line through ln S over b in closed form.

    Parameters
    ----------
    b : ndarray, shape (groups,)
    logs, weights : ndarray, shape (groups, z, y, x)
        Weights may have shape (groups, 1, 1, 1).

    Returns
    -------
    rate, mean_b, mean_log : ndarray
        The decay in mm2/s, and the weighted means that the line runs through.
    """
    x = np.asarray(b, dtype=np.float32)
    total = weights.sum(axis=0)
    mean_b = np.einsum("k,k...->...", x, weights) / total
    mean_log = (weights * logs).sum(axis=0) / total
    above = np.zeros_like(mean_log)
    below = np.zeros_like(mean_b)
    for k, value in enumerate(x):
        step = value - mean_b
        above += weights[k] * step * (logs[k] - mean_log)
        below += weights[k] * step * step
    return -above / below, mean_b, mean_log


def fit_quality(
    b: NDArray[np.float64], logs: Signals, weights: Signals, rate: Signals, log_s0: Signals, valid: NDArray[np.bool_]
) -> tuple[Signals, float | None]:
    """Return how well a fit explains the signals.

    Parameters
    ----------
    b : ndarray, shape (groups,)
    logs, weights : ndarray, shape (groups, z, y, x)
        Weights may have shape (groups, 1, 1, 1).
    rate, log_s0 : ndarray, shape (z, y, x)
        The fit: ln S = log_s0 - b rate.
    valid : ndarray of bool, shape (z, y, x)

    Returns
    -------
    residual : ndarray, shape (z, y, x)
        Root mean square of measured minus modelled signal, relative to the model at the lowest b-value.
    r2 : float or None
        Median over `valid` of the share of the weighted variance of ln S that is explained; None without any.
    """
    squares, left = np.zeros_like(rate), np.zeros_like(rate)
    level = np.where(valid, log_s0, 0)
    for k, value in enumerate(b):
        error = logs[k] - level + rate * np.float32(value)
        left += weights[k] * error * error
        modelled = np.exp(-rate * np.float32(value - b[0]))
        squares += (np.expm1(np.clip(error, -50, 20)) * modelled) ** 2
    residual = np.where(valid, np.sqrt(squares / len(b)), 0).astype(np.float32)
    mean = (weights * logs).sum(axis=0) / weights.sum(axis=0)
    total = (weights * (logs - mean) ** 2).sum(axis=0)
    usable = valid & (total > 0)
    if not usable.any():
        return residual, None
    return residual, float(np.median(1 - left[usable] / total[usable]))
