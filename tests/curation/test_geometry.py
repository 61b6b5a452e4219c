"""Affines: indices to LPS and back, planes, letters, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import geometry
from curation.errors import GeometryError
from curation.synthetic.shapes import rotation

degrees = st.floats(-180, 180)
millimetres = st.floats(0.2, 10)
coordinate = st.floats(-500, 500)


@st.composite
def affines(draw: st.DrawFn) -> geometry.Array:
    turn = rotation((draw(degrees), draw(degrees), draw(degrees)))
    directions = np.concatenate([turn[:, 0], turn[:, 1]])
    spacing = draw(millimetres), draw(millimetres)
    position = draw(coordinate), draw(coordinate), draw(coordinate)
    return geometry.plane_affine(position, directions, spacing, turn[:, 2] * draw(millimetres))


@given(affines(), st.tuples(coordinate, coordinate, coordinate))
def test_points_return_to_where_they_were(affine: geometry.Array, point: tuple[float, float, float]) -> None:
    """Mapping to indices and back moves a point by less than a micrometre."""
    index = geometry.apply_affine(geometry.inverse(affine), point)
    assert np.abs(geometry.apply_affine(affine, index) - point).max() < 1e-3


@given(affines())
def test_slices_rows_columns_are_the_columns_of_the_affine(affine: geometry.Array) -> None:
    """One step along an index moves by that index's spacing, and (x, y, z) steps are right-handed."""
    origin = geometry.apply_affine(affine, (0, 0, 0))
    for axis, spacing in enumerate(geometry.spacing_mm(affine)):
        step = geometry.apply_affine(affine, np.eye(3)[axis]) - origin
        assert np.linalg.norm(step) == pytest.approx(spacing, abs=1e-6)
    assert np.linalg.det(affine[:3, [2, 1, 0]]) > 0


def test_pixel_spacing_is_rows_then_columns() -> None:
    """The first value of Pixel Spacing is the distance between rows, which index y counts."""
    affine = geometry.plane_affine((1, 2, 3), (1, 0, 0, 0, 1, 0), (0.5, 0.75), (0, 0, 3))
    assert geometry.apply_affine(affine, (1, 1, 1)).tolist() == [1.75, 2.5, 6.0]


@pytest.mark.parametrize(
    ("normal", "name"),
    [
        ((0, 0, -1), "axial"),
        ((1, 0, 0), "sagittal"),
        ((0, 1, 0), "coronal"),
        ((0, 0.42, 0.91), "axial"),
        ((0, 0.7, 0.71), "oblique"),
    ],
)
def test_planes_are_named_by_their_normal(normal: tuple[float, float, float], name: str) -> None:
    """Prostate slices tilted by 25 degrees are axial, those at 45 degrees oblique."""
    assert geometry.plane_name(normal) == name


def test_letters_name_patient_directions() -> None:
    """+x is left, +y posterior, +z superior."""
    vectors = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0.3, -1)]
    assert "".join(map(geometry.direction_letter, vectors)) == "LRPASI"


@pytest.mark.parametrize("directions", [(1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 1, 0), (1, 0, 0)])
def test_impossible_orientations_are_refused(directions: tuple[float, ...]) -> None:
    """Directions that are not two unit vectors at a right angle raise."""
    with pytest.raises(GeometryError, match="Image Orientation"):
        geometry.unit_directions(directions)


@pytest.mark.parametrize("affine", [np.eye(3), np.zeros((4, 4)), np.diag([1, 1, 0, 1.0]), np.diag([np.nan, 1, 1, 1])])
def test_what_is_no_affine_is_refused(affine: geometry.Array) -> None:
    """Wrong shape, last row, rank or numbers raise."""
    with pytest.raises(GeometryError, match="affine"):
        geometry.check_affine(affine)
