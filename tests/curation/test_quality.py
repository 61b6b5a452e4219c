"""Image quality numbers against images whose noise, ghosts, blur and clipping are known."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from curation import read_study
from curation.errors import GeometryError
from curation.noise import noise_level, otsu
from curation.quality import ImageQuality, image_quality
from curation.synthetic import SyntheticStudy
from curation.volume import Volume

AFFINE = np.diag([3.0, 0.8, 0.8, 1.0])
SHAPE = (9, 128, 128)


def disc(radius: float = 42.0) -> NDArray[np.float64]:
    """A body of 400 with a darker core of 250 in empty air."""
    y, x = np.ogrid[:128, :128]
    distance = np.hypot(y - 63.5, x - 63.5)
    plane = np.where(distance < radius, 400.0, 0.0)
    plane[distance < 12] = 250
    return np.broadcast_to(plane, SHAPE).copy()


def magnitude(image: NDArray[np.float64], noise: float, seed: int = 0) -> NDArray[np.float64]:
    """Rician noise."""
    rng = np.random.default_rng(seed)
    return np.hypot(image + rng.normal(0, noise, image.shape), rng.normal(0, noise, image.shape))


def measure(array: NDArray[np.float64], phase: str | None = None) -> ImageQuality:
    return image_quality(Volume(array.astype(np.float32), AFFINE), phase_direction=phase)


@pytest.mark.parametrize("noise", [4.0, 10.0, 20.0])
def test_snr_is_signal_over_noise(noise: float) -> None:
    """From tissue and from air, within 7 %; the contrast of core and body likewise."""
    found = measure(magnitude(disc(), noise))
    assert found.snr == pytest.approx(400 / noise, rel=0.07)
    assert found.snr_air == pytest.approx(400 / noise, rel=0.07)
    assert found.cnr == pytest.approx(150 / noise, rel=0.1)
    assert found.fber is not None
    assert found.fber == pytest.approx((400 / noise) ** 2 / (2 * math.log(2)), rel=0.1)


def test_without_air_only_tissue_tells_the_noise() -> None:
    """The body fills the view, or the scanner blanked the air: what needs air is None, the rest stays."""
    filled = measure(magnitude(disc(200), 10.0))
    blanked = measure(np.where(disc() > 0, magnitude(disc(), 10.0), 0))
    for found in (filled, blanked):
        assert (found.snr_air, found.fber, found.ghosting) == (None, None, None)
        assert found.snr == pytest.approx(40, rel=0.07)


@pytest.mark.parametrize(("phase", "axis"), [("ROW", 2), ("COL", 1)])
def test_ghosts_are_found_along_phase_encoding(phase: str, axis: int) -> None:
    """Copies of 5 %, half a field of view away; across the direction the sign turns."""
    ghosted = magnitude(disc() + 0.05 * np.roll(disc(), 64, axis=axis), 4.0)
    clean = magnitude(disc(), 4.0)
    along, across = measure(ghosted, phase).ghosting, measure(ghosted, "COL" if phase == "ROW" else "ROW").ghosting
    before = measure(clean, phase).ghosting
    assert along is not None
    assert across is not None
    assert before is not None
    assert along > 0.01
    assert across == pytest.approx(-along)
    assert abs(before) < 0.001
    assert measure(ghosted).ghosting is None


def test_blur_lowers_sharpness_and_gradient(cohort: list[SyntheticStudy]) -> None:
    """The more blur, the lower; more noise lowers the SNR and not the sharpness."""
    static = read_study(cohort[0].folder).default_static
    assert static is not None
    volume = static.volume()
    blurred = [volume, *(Volume(gaussian_filter(volume.array, (0, s, s)), volume.affine) for s in (1.0, 2.0))]
    found = [image_quality(v) for v in blurred]
    for name in ("sharpness", "gradient"):
        values = [getattr(q, name) for q in found]
        assert values == sorted(values, reverse=True)
        assert values[2] < 0.8 * values[0]
    noisy = measure(magnitude(volume.array.astype(np.float64), 60.0))
    assert noisy.snr is not None
    assert found[0].snr is not None
    assert noisy.snr < 0.6 * found[0].snr


def test_clipping_and_interleaved_motion_are_seen() -> None:
    """A tenth of the elements at the maximum; every second slice 10 % brighter."""
    image = magnitude(disc(), 10.0)
    clipped = np.minimum(image, np.quantile(image, 0.9))
    assert measure(clipped).saturation == pytest.approx(0.1, abs=0.01)
    assert measure(image).saturation == 0
    image[::2] *= 1.1
    assert measure(image).slice_variation == pytest.approx(0.095, abs=0.01)
    assert measure(magnitude(disc(), 10.0)).slice_variation == pytest.approx(0, abs=0.005)


def test_entropy_focus_lies_between_its_limits() -> None:
    """Equal elements give 1, a few bright ones nearly 0."""
    point = np.zeros(SHAPE)
    point[4, 64, 64:66] = 1
    assert measure(np.ones(SHAPE)).efc == pytest.approx(1)
    assert measure(np.repeat(point, 1, axis=0)).efc == pytest.approx(
        math.sqrt(2) * math.log(math.sqrt(2)) / (math.sqrt(point.size) * math.log(math.sqrt(point.size))), abs=1e-3
    )


def test_a_mask_says_where_the_tissue_is() -> None:
    """The core alone; a mask of another shape is refused."""
    array = magnitude(disc(), 5.0).astype(np.float32)
    found = image_quality(Volume(array, AFFINE), mask=disc() == 250)
    assert found.snr == pytest.approx(50, rel=0.1)
    with pytest.raises(GeometryError, match="mask"):
        image_quality(Volume(array, AFFINE), mask=np.ones((2, 2, 2), dtype=bool))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 5), (3, 40, 40), (2, 64, 1)])
@pytest.mark.parametrize("fill", [0.0, 7.0, -1.0, np.nan, np.inf, 1e300])
def test_odd_images_give_none_and_no_warning(shape: tuple[int, int, int], fill: float) -> None:
    """Tiny, constant, negative and not finite: no noise, no contrast, and JSON holds numbers or None."""
    found = image_quality(Volume(np.full(shape, fill), AFFINE), phase_direction="ROW")
    assert (found.snr, found.snr_air, found.cnr, found.ghosting, found.fber) == (None,) * 5
    assert all(value is None or math.isfinite(value) for value in found.to_json().values())


def test_single_bad_elements_do_not_matter() -> None:
    """NaN and infinity in a few elements leave the numbers where they are."""
    image = magnitude(disc(), 10.0)
    before = measure(image)
    image[4, 60:63, 60], image[3, 70, 70] = np.nan, np.inf
    after = measure(image)
    assert after.snr == pytest.approx(before.snr, rel=0.01)
    assert after.sharpness == pytest.approx(before.sharpness, rel=0.01)


def test_noise_and_threshold_of_nothing_are_none() -> None:
    """Too few elements, or all alike."""
    assert noise_level(np.ones((3, 2, 9))) is None
    assert noise_level(np.ones((3, 30, 30))) is None
    assert otsu(np.ones(100)) is None
    assert otsu(np.array([1.0])) is None
    assert otsu(np.array([0.0] * 50 + [10.0] * 50)) == pytest.approx(5, abs=1)


def test_real_t2w_is_measured_fast(real_data: Path) -> None:
    """384 x 384 x 19 without air; the best of five takes well under a quarter of a second on a busy machine."""
    static = read_study(real_data / "prostatex" / "ProstateX-0000").default_static
    assert static is not None
    volume = static.volume()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        found = image_quality(volume, phase_direction="ROW")
        times.append(time.perf_counter() - start)
    assert (found.snr_air, found.ghosting) == (None, None)
    assert found.snr == pytest.approx(25, abs=3)
    assert min(times) < 0.25
