"""One three-dimensional image and where it lies in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation import geometry
from curation.errors import GeometryError
from curation.geometry import Array


@dataclass(frozen=True, eq=False)
class Volume:
    """A regular grid of values in patient space.

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        The values; kept read-only (copied first, unless it already is).
    affine : ndarray, shape (4, 4)
        Maps ``(z, y, x, 1)`` indices to LPS mm; kept as a read-only float64 copy.
    frame_of_reference_uid : str
        Frame of Reference UID (PS3.3 C.7.4.1): positions of volumes that share it can be compared.
        Empty where unknown.

    Raises
    ------
    GeometryError
        If the array is not three-dimensional or the affine is none.
    """

    array: NDArray[Any]
    affine: Array
    frame_of_reference_uid: str = ""

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 3 or 0 in array.shape:
            raise GeometryError(f"A volume is an array [z, y, x] that is not empty; got shape {array.shape}.")
        if array.flags.writeable:
            array = array.copy()
            array.flags.writeable = False
        affine = geometry.check_affine(self.affine)
        affine.flags.writeable = False
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "affine", affine)

    def __repr__(self) -> str:
        spacing = " x ".join(f"{value:.2f}" for value in self.spacing_mm)
        return f"<Volume {self.shape} of {self.array.dtype}, {spacing} mm (z, y, x)>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of elements along (z, y, x)."""
        z, y, x = self.array.shape
        return z, y, x

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance in mm between neighbours along (z, y, x)."""
        return geometry.spacing_mm(self.affine)

    @property
    def centre_mm(self) -> Array:
        """Centre of the grid in LPS mm, shape (3,)."""
        return self.to_lps([(count - 1) / 2 for count in self.shape])

    def to_lps(self, indices: ArrayLike) -> Array:
        """Map (z, y, x) indices, which may be fractions, to LPS mm; shape (..., 3) in and out."""
        return geometry.apply_affine(self.affine, indices)

    def to_index(self, points: ArrayLike) -> Array:
        """Map LPS points in mm to fractional (z, y, x) indices; shape (..., 3) in and out."""
        return geometry.apply_affine(geometry.inverse(self.affine), points)

    def sample(self, points: ArrayLike, *, order: int = 1, outside: float = 0.0) -> NDArray[np.float32]:
        """Interpolate the values at points of the patient.

        Parameters
        ----------
        points : array_like, shape (..., 3)
            LPS mm.
        order : int
            0 for nearest neighbour (masks), 1 for linear, 3 for cubic spline.
        outside : float
            Value beyond the grid.

        Returns
        -------
        ndarray, shape (...)
        """
        from scipy.ndimage import map_coordinates

        indices = self.to_index(points)
        values = np.asarray(self.array, dtype=np.float32)
        sampled = map_coordinates(values, indices.reshape(-1, 3).T, order=order, mode="constant", cval=outside)
        return np.asarray(sampled, dtype=np.float32).reshape(indices.shape[:-1])

    def resampled(
        self,
        affine: Array,
        shape: tuple[int, int, int],
        *,
        transform: Array | None = None,
        frame_of_reference_uid: str | None = None,
    ) -> Volume:
        """Interpolate onto another grid: trilinear, float32, once.

        Parameters
        ----------
        affine : ndarray, shape (4, 4)
            Of the result: maps (z, y, x, 1) indices to LPS mm.
        shape : tuple of int
            Of the result, (z, y, x).
        transform : ndarray, shape (4, 4), optional
            Maps an LPS point seen in this volume to where it lies in the result; identity without it.
        frame_of_reference_uid : str, optional
            Of the result; this volume's without it.

        Returns
        -------
        Volume
            0 outside this volume, see `curation.resampling.resample`.
        """
        from curation.resampling import resample  # numba takes long to import and is not always needed

        grid = geometry.check_affine(affine)
        moved = self.affine if transform is None else geometry.check_affine(transform) @ self.affine
        frame = self.frame_of_reference_uid if frame_of_reference_uid is None else frame_of_reference_uid
        values = resample(self.array, moved, grid, shape)
        values.flags.writeable = False
        return Volume(values, grid, frame)
