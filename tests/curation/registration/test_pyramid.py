"""Levels show the same patient: places keep their values."""

from __future__ import annotations

import numpy as np
import pytest

from curation import Volume
from curation.geometry import apply_affine
from curation.registration.pyramid import clean as cleaned
from curation.registration.pyramid import crop, five_taps, halve, pyramid, shrink, smooth
from tests.curation.registration.scenes import OBLIQUE, SHAPE, scene


def ramp(affine: np.ndarray = OBLIQUE, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Return a volume whose value is a linear function of the place."""
    points = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    return Volume((points @ [1.0, -2.0, 3.0] + 500).astype(np.float32), affine)


@pytest.mark.parametrize("affine", [OBLIQUE, np.diag([3.0, 0.5, 0.5, 1.0])])
def test_every_level_keeps_places(affine: np.ndarray) -> None:
    """A linear image is the same linear image on every level, away from the edges."""
    for level in pyramid(ramp(affine)):
        inner = tuple(slice(4, n - 4) for n in level.image.shape)
        points = apply_affine(level.affine, np.moveaxis(np.indices(level.image.shape), 0, -1))
        np.testing.assert_allclose(level.image[inner], (points @ [1.0, -2.0, 3.0] + 500)[inner], rtol=1e-4, atol=0.05)


def test_fine_pixels_are_averaged_first() -> None:
    """0.5 mm pixels become 1 mm, thick slices stay."""
    finest = pyramid(ramp(np.diag([3.0, 0.5, 0.5, 1.0])))[2]
    assert finest.image.shape == (16, 32, 36)


def test_smoothing_keeps_the_sum_and_has_the_variance() -> None:
    """Weights add up to 1 and spread as said."""
    for variance in (0.0, 0.3, 0.9):
        taps = five_taps(variance)
        assert taps.sum() == pytest.approx(1, abs=1e-6)
        assert float(taps @ (np.arange(5) - 2.0) ** 2) == pytest.approx(variance, abs=0.06)
    image = np.zeros((9, 9, 9), np.float32)
    image[4, 4, 4] = 1
    assert smooth(image, 0.5, 0.5, 0.5).sum() == pytest.approx(1, abs=1e-5)
    assert halve(np.ones((2, 7, 9), np.float32)).shape == (2, 3, 4)


def test_cropping_keeps_places() -> None:
    """What is cut out lies where it lay; a box elsewhere gives the whole."""
    volume = ramp()
    part = crop(volume, volume.centre_mm, (10, 20, 20))
    assert part.shape < volume.shape
    assert float(part.sample(volume.centre_mm)) == pytest.approx(float(volume.sample(volume.centre_mm)), abs=1e-3)
    assert crop(volume, np.array([900.0, 0, 0]), (10, 20, 20)) is volume


def test_values_that_are_no_numbers_count_as_nothing() -> None:
    """NaN and infinity become 0; tiny images are not divided."""
    volume = scene()
    array = np.array(volume.array)
    array[3, 4, 5], array[0, 0, 0] = np.nan, np.inf
    level = cleaned(Volume(array, volume.affine))
    assert level.image[3, 4, 5] == level.image[0, 0, 0] == 0
    assert np.isfinite(level.image).all()
    tiny = pyramid(Volume(np.ones((1, 3, 3), np.float32), OBLIQUE))
    assert tiny[0].image.shape == (1, 3, 3)
    assert shrink(cleaned(scene()), 100.0).image.shape == (2, 2, 2), "never to a single slice"
