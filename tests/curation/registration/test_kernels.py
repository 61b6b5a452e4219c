"""Compiled loops against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from curation import resampling
from curation.geometry import apply_affine
from curation.registration import information_kernels, kernels, mutual_information
from curation.registration.poses import rotation, rotation_vector, step
from curation.registration.pyramid import pyramid
from tests.curation.registration.scenes import other_contrast, scene

GENERATOR = np.random.default_rng(3)
IMAGE = GENERATOR.random((6, 11, 13)).astype(np.float32)
COUNT = 1300  # more than two blocks


def looked_at() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points in mm, a matrix to indices, and the kernel's answer."""
    matrix = np.array([[0.1, 0.0, 0.5, 1.0], [0.0, 0.7, 0.1, 2.0], [0.9, 0.1, 0.0, 3.0]])
    points = GENERATOR.uniform(-4, 12, (3, COUNT)).astype(np.float32)
    out = np.empty((5, COUNT), np.float32)
    resampling.sample_with_gradient(IMAGE, matrix, points, out)
    return points, matrix, out


def test_values_and_gradients_are_trilinear() -> None:
    """Inside, values agree with scipy and gradients with finite differences; outside, the weight is 0."""
    points, matrix, out = looked_at()
    indices = matrix[:, :3] @ points + matrix[:, 3:]
    inside = ((indices >= 0) & (indices < np.array(IMAGE.shape)[:, None] - 1)).all(axis=0)
    near_a_plane = (np.abs(indices - indices.round()) < 1e-3).any(axis=0)
    assert 100 < inside.sum() < COUNT
    np.testing.assert_array_equal(out[4][~near_a_plane], inside[~near_a_plane])
    sure = inside & ~near_a_plane
    np.testing.assert_allclose(out[0][sure], map_coordinates(IMAGE, indices[:, sure], order=1), atol=1e-5)
    for axis in range(3):
        ahead, behind = indices[:, sure].copy(), indices[:, sure].copy()
        ahead[axis] += 5e-4
        behind[axis] -= 5e-4
        exact = IMAGE.astype(np.float64)
        slope = (map_coordinates(exact, ahead, order=1) - map_coordinates(exact, behind, order=1)) / 1e-3
        np.testing.assert_allclose(out[1 + axis][sure], slope, atol=1e-3)


def test_a_single_slice_has_no_inside() -> None:
    """Nothing is read beyond the image; all weights and values are 0."""
    out = np.full((5, 3), np.nan, np.float32)
    resampling.sample_with_gradient(IMAGE[:1], np.eye(4)[:3], np.zeros((3, 3), np.float32), out)
    assert not out.any()


def test_normal_equations_are_the_products_of_rows() -> None:
    """All products, over blocks of any size."""
    rows = GENERATOR.normal(size=(8, COUNT)).astype(np.float32)
    system = np.empty((7, 7))
    kernels.normal_equations(rows, system)
    np.testing.assert_allclose(
        system, rows[:7].astype(np.float64) @ rows[:7].T.astype(np.float64), rtol=1e-3, atol=0.05
    )


def test_conditional_means_recover_a_function() -> None:
    """Values that are a piecewise linear function of the static intensity leave no residual."""
    bins = 8
    position = np.sort(GENERATOR.uniform(0, bins, 4000))
    number = position.astype(int)
    fraction = (position - number).astype(np.float32)
    starts = np.searchsorted(number, np.arange(bins + 1)).astype(np.int64)
    values = np.ones((5, 4000), np.float32)
    values[0] = 3 * position + 2
    means = np.empty(bins + 1)
    kernels.conditional_means(values, fraction, starts, means)
    np.testing.assert_allclose(means, 3 * np.arange(bins + 1) + 2, atol=1.1)  # ends see one side only
    rows = np.ones((8, 4000), np.float32)
    total, count = kernels.weigh_rows(values, fraction, starts, np.arange(bins + 1) * 3.0 + 2, 1.0, rows)
    assert count == 4000
    assert total / count < 1e-5
    np.testing.assert_allclose(rows, np.vstack([np.ones((6, 4000)), np.zeros(4000), np.ones(4000)]), atol=1e-4)


def test_motion_derivatives_follow_a_step() -> None:
    """The derivative by each parameter is what a small step changes, for rigid and affine steps."""
    points, matrix, out = looked_at()
    to_index, pose, centre = np.eye(4), np.eye(4), np.array([1.0, 2.0, 3.0])
    to_index[:3] = matrix
    for count in (6, 12):
        rows = np.zeros((count + 2, COUNT), np.float32)
        kernels.motion_derivatives(out, points, pose[:3], matrix[:, :3].T.copy(), centre, rows)
        for j in range(count):
            change = np.zeros(count)
            change[j] = 1e-4
            ahead, behind = np.empty_like(out), np.empty_like(out)
            resampling.sample_with_gradient(IMAGE, (to_index @ step(change, centre))[:3].copy(), points, ahead)
            resampling.sample_with_gradient(IMAGE, (to_index @ step(-change, centre))[:3].copy(), points, behind)
            smooth = (out[4] == 1) & (np.abs(ahead[1:4] - behind[1:4]).max(axis=0) < 1e-2)
            slope = (ahead[0].astype(np.float64) - behind[0])[smooth] / 2e-4
            assert smooth.sum() > 100
            assert np.median(np.abs(rows[j][smooth] - slope)) < 0.02, (count, j)


def test_joint_histogram_is_a_distribution() -> None:
    """It sums to 1, its rows have the share of the samples, and outliers go to the ends."""
    values = np.ones((5, 900), np.float32)
    values[0] = GENERATOR.uniform(-50, 150, 900)
    values[4, :100] = 0
    starts = np.array([0, 300, 300, 900], np.int64)
    histogram = np.empty((3, 32))
    inside = information_kernels.joint_histogram(values, starts, 0.0, 100 / 27, histogram)
    assert inside == pytest.approx(800, rel=1e-5)
    np.testing.assert_allclose(histogram.sum(axis=1), [200 / 800, 0, 600 / 800], atol=1e-6)
    assert information_kernels.information(histogram, np.empty((3, 32), np.float32)) < 0.05


def test_the_gradient_of_mutual_information_is_right() -> None:
    """It agrees with finite differences in all six directions, prior included."""
    static = scene()
    moving = pyramid(other_contrast(scene(seed=1)))
    target = mutual_information.Target(static, mutual_information.Region(static.centre_mm))
    pair = mutual_information.Pair(target, moving)
    level = pair.levels[0]
    work = mutual_information._Work(level.samples.count, level.shape)
    pose = step([0.8, -0.5, 0.4, 0.02, -0.01, 0.03], static.centre_mm)
    _, gradient = level._value(pose, work)
    moved = apply_affine(pose, level.anchor)
    for j in range(6):
        change = np.zeros(6)
        change[j] = 0.02
        ahead, _ = level._value(step(change * mutual_information._SCALES, moved) @ pose, work)
        behind, _ = level._value(step(-change * mutual_information._SCALES, moved) @ pose, work)
        assert gradient[j] == pytest.approx((ahead - behind) / 0.04, abs=0.003 + 0.1 * float(np.abs(gradient).max()))


def test_rotations_and_their_vectors() -> None:
    """A rotation keeps lengths and gives its vector back; nothing turns by nothing."""
    for vector in ([0.3, -0.2, 0.5], [1e-9, 0, 0], [0, 0, 0], [0, np.pi, 0]):
        matrix = rotation(vector)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(rotation_vector(matrix), vector, atol=1e-12)
