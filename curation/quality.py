"""Numbers for the technical quality of one image, each with its source.

They rank images of one protocol and one scanner; none is a physical constant, and none replaces a reader. The
formulas are those of the MRI quality tools for the head (Quality Assessment Protocol, MRQy), where they carry over
to the pelvis, where the body often fills the field of view: whatever needs air is None where there is no air.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from curation.agreement import edge_overlap, edge_overlap_arrays, nmi
from curation.errors import GeometryError
from curation.noise import RAYLEIGH_MEDIAN, measurable, noise_level, otsu, sample
from curation.volume import Volume

__all__ = ["ImageQuality", "edge_overlap", "edge_overlap_arrays", "image_quality", "nmi"]

_EDGE_SHARE = 0.06  # of rows or columns: the strips at the border where air and ghosts are looked for
_FEWEST = 64  # elements that a number must rest on
_AIR_SHARE = 0.15  # of the median of tissue: no air is brighter, with ghosts and all
_AIR_PART = 0.9  # of a border must be that dark
_BORDER_SAMPLE = 20_000
_SHARPNESS_SLICES = 5
_LOW_PASS = 9  # elements, of the blur metric

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ImageQuality:
    """Quality numbers of one volume; None where the image does not allow one. See `image_quality`.

    Parameters
    ----------
    snr : float or None
        Median signal of the central tissue over the noise measured on the finest structure of tissue (Immerkaer
        1996, see `curation.noise`). Needs no air, holds for parallel imaging; filters on the scanner raise it.
    snr_air : float or None
        The same signal over the noise measured in air, median / 1.18 (Rayleigh; NEMA MS 1-2008, method 4,
        made robust). None without air. Where magnitudes were averaged or coils combined it comes out lower.
    cnr : float or None
        Difference of the medians of the darker and the brighter half of the central tissue (divided by Otsu's
        threshold) over the noise of `snr`.
    ghosting : float or None
        Mean of the air beside the body along the phase-encoding direction minus that along the other, over
        twice the mean of the central tissue (percent signal ghosting of the ACR phantom test, as a fraction).
        None without air on all four sides or without knowledge of the direction.
    sharpness : float or None
        1 minus the blur metric of Crete et al., Proc SPIE 2007;6492:64920I: 0 blurred, 1 sharp. Noise counts as
        sharpness: read it together with `snr`.
    gradient : float or None
        Mean length of the Sobel gradient per mm over the median of the central tissue, 1/mm (Tenengrad; Krotkov,
        Int J Comput Vis 1988;1:223).
    efc : float or None
        Entropy focus criterion of Atkinson et al., IEEE Trans Med Imaging 1997;16:903, divided by its maximum:
        near 0 where few elements hold all energy, 1 where all are equal. Ghosts and blur raise it.
    fber : float or None
        Foreground to background energy ratio: median energy of what is brighter than Otsu's threshold over that
        of air (Quality Assessment Protocol, in the robust form of MRIQC). None without air.
    saturation : float
        Share of elements that have exactly the largest value; above about 0.001 the image is clipped.
    slice_variation : float or None
        Median over inner slices of the distance of a slice's mean from the mean of its neighbours, over the mean
        of the volume: motion between the odd and the even slices of an interleaved acquisition raises it.
    """

    snr: float | None
    snr_air: float | None
    cnr: float | None
    ghosting: float | None
    sharpness: float | None
    gradient: float | None
    efc: float | None
    fber: float | None
    saturation: float
    slice_variation: float | None

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers by name."""
        return asdict(self)


def image_quality(
    volume: Volume,
    *,
    mask: NDArray[np.bool_] | None = None,
    phase_direction: str | None = None,
) -> ImageQuality:
    """Measure the quality of one magnitude image.

    Parameters
    ----------
    volume : Volume
        As the scanner gave it: resampling changes noise and sharpness.
    mask : ndarray of bool, shape (z, y, x), optional
        The tissue to be judged; without it the middle third along each in-plane axis, of the middle half of
        the slices, which holds the gland.
    phase_direction : {"ROW", "COL"}, optional
        In-plane Phase Encoding Direction (0018,1312): ``ROW`` where phase is encoded along the rows (x).

    Returns
    -------
    ImageQuality

    Raises
    ------
    GeometryError
        If the mask has another shape than the volume.
    """
    if mask is not None and mask.shape != volume.shape:
        raise GeometryError(f"A mask has the shape of the volume, {volume.shape}; got {mask.shape}.")
    array = measurable(volume.array)
    if np.isnan(array).any():
        array = np.nan_to_num(array)
    threshold = otsu(sample(array))
    tissue = _central(array, mask, threshold)
    level = _middle(tissue)
    noise = _tissue_noise(array, mask, threshold)
    air = _air(array, level)
    return ImageQuality(
        snr=_ratio(level, noise),
        snr_air=_ratio(level, _air_noise(air)),
        cnr=_contrast(tissue, noise),
        ghosting=_ghosting(air, _mean(tissue), phase_direction),
        sharpness=_sharpness(array),
        gradient=_gradient(array, volume.spacing_mm, level),
        efc=_entropy_focus(array),
        fber=_energy_ratio(array, air, threshold),
        saturation=_saturation(array),
        slice_variation=_slice_variation(array),
    )


def _central(array: Plane, mask: Mask | None, threshold: float | None) -> Plane:
    """Return the values of the tissue that is judged, flat."""
    if mask is not None:
        return array[mask]
    z, y, x = array.shape
    box = array[z // 4 : z - z // 4, y // 3 : y - y // 3, x // 3 : x - x // 3].reshape(-1)
    tissue = box[box > threshold / 2] if threshold is not None and threshold > 0 else box
    return tissue if tissue.size >= _FEWEST else box


def _middle(values: Plane) -> float | None:
    if values.size < _FEWEST:
        return None
    median = float(np.median(sample(values)))
    return median if median > 0 else None


def _mean(values: Plane) -> float | None:
    return float(values.mean(dtype=np.float64)) if values.size >= _FEWEST else None


def _ratio(signal: float | None, noise: float | None) -> float | None:
    return None if signal is None or noise is None else signal / noise


def _tissue_noise(array: Plane, mask: Mask | None, threshold: float | None) -> float | None:
    if mask is not None:
        return noise_level(array, mask)
    if threshold is None:
        return None
    return noise_level(array, array > threshold / 2)


def _contrast(tissue: Plane, noise: float | None) -> float | None:
    if noise is None or tissue.size < 2 * _FEWEST:
        return None
    values = sample(tissue)
    divide = otsu(values)
    if divide is None:
        return None
    dark, bright = values[values <= divide], values[values > divide]
    if min(dark.size, bright.size) < _FEWEST // 4:
        return None
    return float(np.median(bright) - np.median(dark)) / noise


def _air(array: Plane, level: float | None) -> dict[str, Plane]:
    """Return the sorted values at the four borders that are air; a border where there is none is absent.

    A border counts as air where nine tenths of it are darker than 0.15 of the central tissue and it is not
    blanked by the scanner.
    """
    if level is None:
        return {}
    height, width = array.shape[1:]
    rows, columns = max(1, round(_EDGE_SHARE * height)), max(1, round(_EDGE_SHARE * width))
    borders = {
        "top": array[:, :rows],
        "bottom": array[:, height - rows :],
        "left": array[:, :, :columns],
        "right": array[:, :, width - columns :],
    }
    found = {}
    for name, strip in borders.items():
        values = np.sort(sample(strip, _BORDER_SAMPLE))
        if values.size >= _FEWEST and values[_darker(values)] < _AIR_SHARE * level and np.median(values) > 0:
            found[name] = values
    return found


def _darker(values: Plane) -> int:
    """Return how many of the values of a border are used where single bright ones would spoil the mean."""
    return int(_AIR_PART * values.size)


def _air_noise(air: dict[str, Plane]) -> float | None:
    """Return sigma by the darkest border: ghosts brighten others."""
    if not air:
        return None
    return min(float(np.median(values)) for values in air.values()) / RAYLEIGH_MEDIAN


def _ghosting(air: dict[str, Plane], signal: float | None, phase_direction: str | None) -> float | None:
    if len(air) < 4 or not signal or phase_direction not in ("ROW", "COL"):
        return None
    across = _pair_mean(air, ("left", "right"))
    down = _pair_mean(air, ("top", "bottom"))
    along, other = (across, down) if phase_direction == "ROW" else (down, across)
    return (along - other) / signal


def _pair_mean(air: dict[str, Plane], names: Sequence[str]) -> float:
    return float(np.mean([air[name][: _darker(air[name])].mean(dtype=np.float64) for name in names]))


def _chosen_slices(array: Plane) -> Plane:
    """Return the middle half of the rows and columns of a few slices around the middle."""
    z, y, x = array.shape
    first = max(0, (z - _SHARPNESS_SLICES) // 2)
    return array[first : first + _SHARPNESS_SLICES, y // 4 : y - y // 4, x // 4 : x - x // 4]


def _sharpness(array: Plane) -> float | None:
    from scipy.ndimage import uniform_filter1d

    slices = _chosen_slices(array)
    if min(slices.shape[1:]) <= _LOW_PASS:
        return None
    blurs = []
    for axis in (1, 2):
        own = np.abs(np.diff(slices, axis=axis))
        blurred = np.abs(np.diff(uniform_filter1d(slices, _LOW_PASS, axis=axis, mode="nearest"), axis=axis))
        variation = float(own.sum(dtype=np.float64))
        if not variation > 0:
            return None
        lost = float(np.maximum(own - blurred, 0).sum(dtype=np.float64))
        blurs.append((variation - lost) / variation)
    return 1 - max(blurs)


def _gradient(array: Plane, spacing_mm: tuple[float, float, float], level: float | None) -> float | None:
    slices = _chosen_slices(array)
    if level is None or min(slices.shape[1:]) < 3:
        return None
    smooth_x = slices[:, :, :-2] + 2 * slices[:, :, 1:-1] + slices[:, :, 2:]
    smooth_y = slices[:, :-2] + 2 * slices[:, 1:-1] + slices[:, 2:]
    down = (smooth_x[:, 2:] - smooth_x[:, :-2]) / np.float32(8 * spacing_mm[1])
    across = (smooth_y[:, :, 2:] - smooth_y[:, :, :-2]) / np.float32(8 * spacing_mm[2])
    return float(np.sqrt(down * down + across * across).mean(dtype=np.float64)) / level


def _entropy_focus(array: Plane) -> float | None:
    """Return sum(x ln x) of the values over their root sum of squares, over its largest possible value."""
    values = np.abs(sample(array))
    n = values.size
    peak = math.sqrt(float(np.dot(values.astype(np.float64), values)))
    if n < _FEWEST or not peak > 0:
        return None
    share = values[values > 0] / peak
    entropy = -float((share * np.log(share)).sum(dtype=np.float64))
    return entropy / (math.sqrt(n) * math.log(math.sqrt(n)))


def _energy_ratio(array: Plane, air: dict[str, Plane], threshold: float | None) -> float | None:
    if not air or threshold is None:
        return None
    values = sample(array)
    tissue = values[values > threshold]
    outside = float(np.median(np.concatenate(list(air.values())))) ** 2
    return float(np.median(tissue)) ** 2 / outside if outside > 0 and tissue.size else None


def _saturation(array: Plane) -> float:
    """Return the share of elements at the maximum; an element alone there is no saturation."""
    top = array.max()
    count = int(np.count_nonzero(array == top))
    return 0.0 if count <= 1 or top <= array.min() else count / array.size


def _slice_variation(array: Plane) -> float | None:
    means = array.mean(axis=(1, 2), dtype=np.float64)
    overall = float(means.mean())
    if means.size < 3 or not overall > 0:
        return None
    return float(np.median(np.abs(means[1:-1] - (means[:-2] + means[2:]) / 2))) / overall
