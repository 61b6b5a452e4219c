"""Volumes: immutable, located, sampled."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from curation import Volume
from curation.errors import GeometryError

AFFINE = np.array([[0, 0, 2.0, -10], [0, 2.0, 0, -20], [3.0, 0, 0, 5], [0, 0, 0, 1]])


def test_a_volume_cannot_change() -> None:
    """Array, affine and fields are read-only, and the caller's array stays the caller's."""
    array = np.zeros((2, 3, 4), dtype=np.float32)
    volume = Volume(array, AFFINE, "2.25.1")
    array[0, 0, 0] = 7
    assert volume.array[0, 0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.affine = AFFINE  # type: ignore[misc]


def test_indices_and_points_map_both_ways() -> None:
    """(z, y, x) = (1, 2, 3) lies where the affine says, and back."""
    volume = Volume(np.zeros((2, 3, 4)), AFFINE)
    assert volume.to_lps((1, 2, 3)).tolist() == [-4, -16, 8]
    assert volume.to_index([[-4, -16, 8]]).tolist() == [[1, 2, 3]]
    assert volume.spacing_mm == (3, 2, 2)
    assert volume.centre_mm.tolist() == [-7, -18, 6.5]


def test_sampling_interpolates_in_patient_space() -> None:
    """Half way between two elements lies their mean; beyond the grid the given value."""
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    volume = Volume(array, AFFINE)
    points = [volume.to_lps((0, 0, 0.5)), volume.to_lps((9, 9, 9))]
    assert volume.sample(points, outside=-1).tolist() == [0.5, -1]


@pytest.mark.parametrize("shape", [(3, 4), (0, 3, 4), (1, 2, 3, 4)])
def test_only_three_axes_make_a_volume(shape: tuple[int, ...]) -> None:
    """Other numbers of axes and empty arrays raise."""
    with pytest.raises(GeometryError, match=r"\[z, y, x\]"):
        Volume(np.zeros(shape), AFFINE)


def test_points_have_three_coordinates() -> None:
    """Two coordinates raise."""
    with pytest.raises(GeometryError, match="3 coordinates"):
        Volume(np.zeros((2, 3, 4)), AFFINE).to_lps((1, 2))
