"""How well two images of one patient lie on each other, whatever their contrasts.

Two measures on common samples: one of edges, which registration here does not optimise and which therefore can
judge it, and normalised mutual information, which is what registration commonly optimises.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation.errors import GeometryError, ParameterError
from curation.geometry import Array, apply_affine, check_affine, inverse
from curation.noise import measurable, sample
from curation.volume import Volume

EDGE_SCALE_MM = 1.5
"""Standard deviation of the Gaussian before gradients are taken: near the in-plane resolution of DWI and DCE."""

REGION_MM = (30.0, 35.0, 35.0)
"""Half extent along the (z, y, x) axes of the static volume of the region that is compared: gland, seminal
vesicles and what borders on them."""

_STEP_MM = 1.5  # in-plane, of the samples
_FEWEST = 500  # samples below which nothing is said
_MARGIN = 2.0  # in standard deviations: from outside the image to the first gradient that is not touched by it
_PERCENTILES = (0.5, 99.5)  # range of the histogram


def edge_overlap(
    static: Volume,
    moving: Volume,
    mask: NDArray[np.bool_] | None = None,
    *,
    transform: ArrayLike | None = None,
    centre_mm: ArrayLike | None = None,
    half_size_mm: tuple[float, float, float] = REGION_MM,
) -> float | None:
    """Return the agreement of the edges of two volumes in a region of the patient.

    Both are sampled at the same points, 1.5 mm apart in the plane of the static volume and as far apart as its
    slices (at least 1.5 mm) across; see `edge_overlap_arrays` for the measure.

    Parameters
    ----------
    static, moving : Volume
        In one frame of reference, unless `transform` connects theirs.
    mask : ndarray of bool, shape of `static`, optional
        Samples outside it do not count.
    transform : array_like, shape (4, 4), optional
        Maps an LPS point (mm) seen in `moving` to where it lies in `static`; the identity without it.
    centre_mm : array_like, shape (3,), optional
        Centre of the region in LPS mm; that of the static volume without it.
    half_size_mm : tuple of float
        Half extent of the region along the (z, y, x) axes of the static volume.

    Returns
    -------
    float or None
        As `edge_overlap_arrays`.

    Raises
    ------
    GeometryError
        If the mask has another shape than `static`, or the transform is no invertible 4 x 4 matrix.
    """
    if mask is not None and mask.shape != static.shape:
        raise GeometryError(f"A mask has the shape of the static volume, {static.shape}; got {mask.shape}.")
    back = np.eye(4) if transform is None else inverse(check_affine(transform))
    centre = static.centre_mm if centre_mm is None else np.asarray(centre_mm, dtype=np.float64)
    points, steps = _region(static, centre, half_size_mm)
    a = _measurable(static).sample(points, outside=np.nan)
    b = _measurable(moving).sample(apply_affine(back, points), outside=np.nan)
    inside = None
    if mask is not None:
        inside = Volume(mask.astype(np.float32), static.affine).sample(points, order=0) > 0
    return edge_overlap_arrays(a, b, steps, inside)


def _measurable(volume: Volume) -> Volume:
    return Volume(measurable(volume.array), volume.affine)


def _region(
    static: Volume, centre: Array, half_size_mm: tuple[float, float, float]
) -> tuple[Array, tuple[float, float, float]]:
    """Return sample points in LPS mm, shape (z, y, x, 3), and their distances along (z, y, x)."""
    steps = (max(static.spacing_mm[0], _STEP_MM), _STEP_MM, _STEP_MM)
    axes = static.affine[:3, :3] / np.linalg.norm(static.affine[:3, :3], axis=0)
    counts = [int(2 * half / step) + 1 for half, step in zip(half_size_mm, steps, strict=True)]
    offsets = [(np.arange(count) - (count - 1) / 2) * step for count, step in zip(counts, steps, strict=True)]
    z, y, x = (offset[:, None] * axis for offset, axis in zip(offsets, axes.T, strict=True))
    return centre + z[:, None, None] + y[None, :, None] + x[None, None, :], steps


def edge_overlap_arrays(
    a: NDArray[Any],
    b: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    mask: NDArray[np.bool_] | None = None,
    *,
    scale_mm: float = EDGE_SCALE_MM,
) -> float | None:
    """Return the agreement of the edges of two images that were sampled at the same points.

    The normalised gradient of each image (Haber and Modersitzki, Methods Inf Med 2007;46:292), whose length
    goes from 0 in flat tissue to 1 at an edge, gives a tensor n n' in every element that knows the direction of
    the edge and not which side is brighter. The result is the correlation coefficient of the two tensor fields,
    over all elements and components. Removing the means takes away what unrelated images share, edges that on
    the whole run along the same axes.

    Parameters
    ----------
    a, b : ndarray, shape (z, y, x)
        NaN where there are no data.
    spacing_mm : tuple of float
        Distance of elements along (z, y, x).
    mask : ndarray of bool, shape (z, y, x), optional
        What counts.
    scale_mm : float
        Standard deviation of the Gaussian smoothing.

    Returns
    -------
    float or None
        1 where all edges coincide, about 0 for unrelated images; None where fewer than 500 elements can be
        compared or one image has no edges. Judge by differences of one pair: the height depends on contrasts.

    Raises
    ------
    GeometryError
        If the arrays differ in shape.
    """
    if a.shape != b.shape or (mask is not None and mask.shape != a.shape):
        raise GeometryError(f"Images to be compared have one shape; got {a.shape} and {b.shape}.")
    if a.ndim != 3 or min(a.shape[1:]) < 3 or a.size < _FEWEST:
        return None
    a, b = measurable(a), measurable(b)
    common = np.isfinite(a) & np.isfinite(b)
    counted = _away_from(~common, spacing_mm, _MARGIN * scale_mm)
    if mask is not None:
        counted &= mask
    if np.count_nonzero(counted) < _FEWEST:
        return None
    first = _normalised_gradient(np.where(common, a, 0), spacing_mm, scale_mm, counted)
    second = _normalised_gradient(np.where(common, b, 0), spacing_mm, scale_mm, counted)
    return None if first is None or second is None else _tensor_correlation(first, second)


def _away_from(outside: NDArray[np.bool_], spacing_mm: tuple[float, float, float], reach: float) -> NDArray[np.bool_]:
    """Return what is further than `reach` from where there are no data and from the ends of the array."""
    from scipy.ndimage import binary_dilation

    counted = ~outside
    for axis, step in enumerate(spacing_mm):
        width = int(np.ceil(reach / step))
        line = [1, 1, 1]
        line[axis] = 2 * width + 1
        if outside.any():
            counted &= ~binary_dilation(outside, np.ones(line, dtype=np.bool_))
        if outside.shape[axis] > 4 * width:
            ends = np.moveaxis(counted, axis, 0)
            ends[:width] = ends[outside.shape[axis] - width :] = False
    return counted


def _normalised_gradient(
    image: NDArray[Any], spacing_mm: tuple[float, float, float], scale_mm: float, counted: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """Return grad / sqrt(|grad|^2 + e^2) of what counts, shape (axes, n), with e the median of |grad|."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(image.astype(np.float32), [scale_mm / step for step in spacing_mm], truncate=3.0)
    axes = [axis for axis in range(3) if image.shape[axis] > 1]
    parts = [np.gradient(smooth, spacing_mm[axis], axis=axis)[counted] for axis in axes]
    gradient = np.stack(parts).astype(np.float32)
    squares = np.einsum("kn,kn->n", gradient, gradient)
    edge = float(np.median(squares))
    if edge <= 0:  # most of it is flat: the edges that there are set the scale
        edge = float(squares.mean())
    if not (np.isfinite(edge) and edge > 1e-12 * float(np.abs(smooth).max()) ** 2):
        return None
    return np.asarray(gradient / np.sqrt(squares + np.float32(edge)), dtype=np.float32)


def _tensor_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float | None:
    """Return the correlation coefficient of a a' and b b' over all elements, shape (axes, n) each."""
    n = a.shape[1]
    mean_a, mean_b = a @ a.T / n, b @ b.T / n
    shared = float((np.einsum("kn,kn->n", a, b) ** 2).mean() - (mean_a * mean_b).sum())
    alone = [float((np.einsum("kn,kn->n", v, v) ** 2).mean() - (m * m).sum()) for v, m in ((a, mean_a), (b, mean_b))]
    if min(alone) <= 1e-9:
        return None
    return shared / float(np.sqrt(alone[0] * alone[1]))


def nmi(a: NDArray[Any], b: NDArray[Any], bins: int = 32, mask: NDArray[np.bool_] | None = None) -> float | None:
    """Return the normalised mutual information of two images, (H(A) + H(B)) / H(A, B).

    Studholme et al., Pattern Recognit 1999;32:71. Histograms run from the 0.5th to the 99.5th percentile of each
    image, what lies beyond goes to the outermost bins.

    Parameters
    ----------
    a, b : ndarray
        Of one shape, sampled at the same points; where either is not finite, neither counts.
    bins : int
        Per image, 2 to 256.
    mask : ndarray of bool, optional
        What counts.

    Returns
    -------
    float or None
        From 1 (independent) to 2 (one determines the other); None where an image is constant or empty. It
        depends on `bins` and on the region: compare like with like.

    Raises
    ------
    GeometryError
        If the arrays differ in shape.
    ParameterError
        If `bins` is out of range.
    """
    if a.shape != b.shape or (mask is not None and mask.shape != a.shape):
        raise GeometryError(f"Images to be compared have one shape; got {a.shape} and {b.shape}.")
    if not 2 <= bins <= 256:
        raise ParameterError(f"A histogram here has 2 to 256 bins; got {bins}.")
    a, b = measurable(a), measurable(b)
    usable = np.isfinite(a) & np.isfinite(b)
    if mask is not None:
        usable &= mask
    everything = usable.all()
    first = _binned(a.reshape(-1) if everything else a[usable], bins)
    second = _binned(b.reshape(-1) if everything else b[usable], bins)
    if first is None or second is None:
        return None
    joint = np.bincount(first * np.int32(bins) + second, minlength=bins * bins).reshape(bins, bins) / first.size
    together = _entropy(joint)
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together if together > 0 else None


def _binned(values: NDArray[Any], bins: int) -> NDArray[np.int32] | None:
    """Return the number of the bin of each value; None for a constant image."""
    if values.size == 0:
        return None
    low, high = (float(v) for v in np.percentile(sample(values), _PERCENTILES))
    if not high > low:
        return None
    scaled = (values - np.float32(low)) * np.float32(bins / (high - low))
    return np.clip(scaled, 0, bins - 1, out=scaled).astype(np.int32)


def _entropy(share: NDArray[np.float64]) -> float:
    present = share[share > 0]
    return float(-(present * np.log(present)).sum())
