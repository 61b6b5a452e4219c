"""Interpolation onto another grid, in the one place where it is done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from curation import Volume
from curation.errors import GeometryError
from curation.geometry import apply_affine, inverse
from curation.registration.poses import rotation
from curation.resampling import resample
from tests.curation.registration.scenes import OBLIQUE, scene

ANGLES = st.tuples(*[st.floats(-3, 3)] * 3)
STEPS = st.tuples(*[st.floats(0.3, 4.0)] * 3)


def affine_of(angles: tuple[float, ...], steps: tuple[float, ...], origin: tuple[float, ...]) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3] = rotation(angles) * np.array(steps)
    result[:3, 3] = origin
    return result


@given(ANGLES, STEPS, ANGLES, STEPS)
@settings(max_examples=40, deadline=None)
def test_linear_images_stay_linear(
    a: tuple[float, ...], s: tuple[float, ...], b: tuple[float, ...], t: tuple[float, ...]
) -> None:
    """Whatever the two grids, a linear function of the place is reproduced inside and 0 outside."""
    source = affine_of(a, s, (3.0, -2.0, 5.0))
    centre = apply_affine(source, (3.5, 4.0, 5.0))
    grid = affine_of(b, t, (0.0, 0.0, 0.0))
    grid[:3, 3] = centre - grid[:3, :3] @ [2.0, 3.0, 2.5]
    weights = np.array([1.0, -0.5, 0.25])
    values = apply_affine(source, np.moveaxis(np.indices((8, 9, 11)), 0, -1)) @ weights
    found = resample(values.astype(np.float32), source, grid, (5, 7, 6))
    points = apply_affine(grid, np.moveaxis(np.indices((5, 7, 6)), 0, -1))
    indices = apply_affine(inverse(source), points)
    inside = ((indices >= 0) & (indices <= [7, 8, 10])).all(axis=-1)
    outside = ((indices < -0.51) | (indices > [7.51, 8.51, 10.51])).any(axis=-1)
    scale = 1 + float(np.abs(values).max())
    np.testing.assert_allclose(found[inside], (points @ weights)[inside], atol=2e-5 * scale)
    assert not found[outside].any()


def test_agreement_with_scipy() -> None:
    """The same values as scipy's linear interpolation, for rows longer than a block too."""
    generator = np.random.default_rng(0)
    values = generator.random((5, 20, 700)).astype(np.float32)
    grid = np.diag([0.7, 0.9, 0.95, 1.0])
    grid[:3, 3] = (0.3, 0.2, 0.1)
    found = resample(values, np.eye(4), grid, (5, 20, 700))
    indices = np.moveaxis(apply_affine(grid, np.moveaxis(np.indices((5, 20, 700)), 0, -1)), -1, 0)
    np.testing.assert_allclose(found, map_coordinates(values, indices, order=1, mode="nearest"), atol=2e-4)


def test_the_same_grid_gives_the_same_values() -> None:
    """Nothing is interpolated, not even copied, where nothing changes."""
    volume = scene()
    assert resample(volume.array, volume.affine, volume.affine, volume.shape) is volume.array
    assert np.array_equal(volume.resampled(volume.affine, volume.shape).array, volume.array)


def test_the_outer_half_voxel_belongs_to_the_image() -> None:
    """A voxel has an extent: slices are not lost to a shift by a hair."""
    values = np.arange(4, dtype=np.float32).reshape(4, 1, 1) + np.zeros((4, 3, 3), np.float32) + 1
    grid = np.eye(4)
    grid[0, 3] = -0.4
    assert resample(values, np.eye(4), grid, (4, 3, 3))[:, 1, 1] == pytest.approx([1, 1.6, 2.6, 3.6])
    grid[0, 3] = -0.6
    assert resample(values, np.eye(4), grid, (4, 3, 3))[0, 1, 1] == 0


def test_a_single_slice_holds_over_its_thickness() -> None:
    """One slice is an image half its thickness up and down."""
    slice_ = np.full((1, 4, 4), 7, np.int16)
    for shift, expected in ((0.0, 7), (0.4, 7), (-0.4, 7), (0.7, 0)):
        grid = np.eye(4)
        grid[0, 3] = shift
        assert resample(slice_, np.eye(4), grid, (1, 4, 4))[0, 1, 1] == expected


def test_grids_that_cannot_be_compared_are_refused() -> None:
    """Positions beyond all measure end in an error, not in a crash; a bad edge value stays inside."""
    far, near = np.eye(4), np.eye(4)
    far[:3, 3], near[:3, 3] = 1.5e308, -1.5e308
    with np.errstate(all="ignore"), pytest.raises(GeometryError, match="too far apart"):
        resample(np.ones((2, 2, 2), np.float32), far, near, (2, 2, 2))
    values, shifted = np.ones((3, 4, 4), np.float32), np.eye(4)
    values[:, :, 0], shifted[2, 3] = np.nan, -4
    assert not resample(values, np.eye(4), shifted, (3, 4, 3)).any()


def test_a_transform_and_its_inverse() -> None:
    """A volume that is moved there and back shows the same anatomy."""
    volume = scene(noise=0.0)
    there = np.eye(4)
    there[:3, :3], there[:3, 3] = rotation([0.05, 0.1, -0.05]), (3, -2, 1)
    moved = volume.resampled(volume.affine, volume.shape, transform=there, frame_of_reference_uid="2.25.9")
    assert moved.frame_of_reference_uid == "2.25.9"
    back = moved.resampled(OBLIQUE, volume.shape, transform=inverse(there))
    inner = (slice(5, -5), slice(12, -12), slice(12, -12))
    difference = np.abs(back.array[inner] - volume.array[inner])
    assert np.median(difference) < 0.05 * np.ptp(volume.array)
    assert isinstance(back, Volume)
