"""Read the landmark pairs and measure a transform by them.

How the points were placed, what they can show and what they cannot: README.md beside this file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation import geometry
from curation.errors import MissingDataError

Array = NDArray[np.float64]

_FOLDER = Path(__file__).parent
_BOOTSTRAPS = 10_000


@dataclass(frozen=True)
class Repeatability:
    """How well the same reader found the points again.

    Parameters
    ----------
    t2_mm, moving_mm : float
        Mean distance in mm between first and second placement, in the T2w and in the moving image.
    pair_mm : float
        Mean length in mm of the change of the difference vector (T2w minus moving) of a pair.
    t2_sd_mm, moving_sd_mm : float
        Standard deviation of one placement, all three axes together: the root of half the mean squared distance
        of two (Bland and Altman 1996, BMJ 313:744, within-subject standard deviation of two readings).
    """

    t2_mm: float
    moving_mm: float
    pair_mm: float
    t2_sd_mm: float
    moving_sd_mm: float


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The pairs of one study; positions in LPS mm.

    Parameters
    ----------
    study_uid, t2_series_uid, moving_series_uid : str
        Study and Series Instance UIDs.
    moving_volume : int
        Number of the volume of the moving series (all time points joined) in which the points lie.
    names : tuple of str
    t2, moving : ndarray, shape (n, 3)
        Means over the placements.
    located : ndarray of bool, shape (n,)
        True where the structure is confined through the slices as well; elsewhere it runs through several and was
        marked at a level chosen by the look of the slice.
    repeatability : Repeatability
    """

    study_uid: str
    t2_series_uid: str
    moving_series_uid: str
    moving_volume: int
    names: tuple[str, ...]
    t2: Array
    moving: Array
    located: NDArray[np.bool_]
    repeatability: Repeatability


@dataclass(frozen=True, eq=False)
class Bias:
    """What all pairs have in common.

    Parameters
    ----------
    vector_mm, standard_error_mm : ndarray, shape (3,)
        Mean of T2w minus transformed moving point along LPS and its standard error.
    interval_mm : ndarray, shape (2, 3)
        95 % percentile interval of the mean over bootstrap samples of the pairs (Efron and Tibshirani 1993, ch. 13).
    """

    vector_mm: Array
    standard_error_mm: Array
    interval_mm: Array


def names() -> tuple[str, ...]:
    """Return the names that `load` knows, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def load(name: str, *, set_aside: bool = False) -> Landmarks:
    """Read the pairs of one study.

    Parameters
    ----------
    name : str
        One of `names`.
    set_aside : bool
        With the pairs that were set aside because their two points lie at different levels of the gland.

    Returns
    -------
    Landmarks

    Raises
    ------
    MissingDataError
        If there is no such file.
    """
    if name not in names():
        raise MissingDataError(f"No landmarks {name!r}; there are {', '.join(names())}.")
    content: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    pairs = [pair for pair in content["pairs"] if set_aside or "set_aside" not in pair]
    t2 = np.array([pair["t2_lps"] for pair in pairs], dtype=np.float64)
    moving = np.array([pair["moving_lps"] for pair in pairs], dtype=np.float64)
    return Landmarks(
        study_uid=content["study_uid"],
        t2_series_uid=content["t2_series_uid"],
        moving_series_uid=content["moving_series_uid"],
        moving_volume=content["moving_volume"],
        names=tuple(pair["name"] for pair in pairs),
        t2=t2.mean(axis=1),
        moving=moving.mean(axis=1),
        located=np.array([pair["through_plane"] == "located" for pair in pairs]),
        repeatability=_repeatability(t2, moving),
    )


def landmark_error(landmarks: Landmarks, transform: ArrayLike) -> Array:
    """Return the distance in mm, per pair, that a transform leaves.

    This is the target registration error of Fitzpatrick et al. 1998 (IEEE Trans Med Imaging 17:694), with the error
    of placing the points in it.

    Parameters
    ----------
    landmarks : Landmarks
    transform : array_like, shape (4, 4)
        Maps an LPS point of the moving volume to where it lies in the T2w, mm.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    GeometryError
        If the transform is no finite, invertible 4 x 4 matrix.
    """
    return np.asarray(np.linalg.norm(_left(landmarks, transform), axis=1), dtype=np.float64)


def translation_bias(landmarks: Landmarks, transform: ArrayLike) -> Bias:
    """Return the translation that a transform still leaves, and how sure that is.

    Parameters and errors as in `landmark_error`.

    Returns
    -------
    Bias
    """
    left = _left(landmarks, transform)
    count = len(left)
    drawn = np.random.default_rng(0).integers(0, count, (_BOOTSTRAPS, count))
    return Bias(
        vector_mm=left.mean(axis=0),
        standard_error_mm=left.std(axis=0, ddof=1) / np.sqrt(count),
        interval_mm=np.percentile(left[drawn].mean(axis=1), (2.5, 97.5), axis=0),
    )


def _left(landmarks: Landmarks, transform: ArrayLike) -> Array:
    """T2w minus transformed moving point, shape (n, 3)."""
    return landmarks.t2 - geometry.apply_affine(geometry.check_affine(transform), landmarks.moving)


def _repeatability(t2: Array, moving: Array) -> Repeatability:
    """From the placements, each of shape (n, 2, 3)."""
    change_t2, change_moving = t2[:, 1] - t2[:, 0], moving[:, 1] - moving[:, 0]
    return Repeatability(
        t2_mm=_mean_length(change_t2),
        moving_mm=_mean_length(change_moving),
        pair_mm=_mean_length(change_t2 - change_moving),
        t2_sd_mm=_standard_deviation(change_t2),
        moving_sd_mm=_standard_deviation(change_moving),
    )


def _mean_length(vectors: Array) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())


def _standard_deviation(changes: Array) -> float:
    return float(np.sqrt((changes**2).sum(axis=1).mean() / 2))
