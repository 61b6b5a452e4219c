"""Solids by their signed distance: negative inside, in mm, exact enough near the surface.

Points are three float32 arrays (x, y, z) that broadcast; anatomy has its own axes, parallel to LPS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Points = tuple[Field, Field, Field]
Vector = tuple[float, float, float]
Box = tuple[Vector, Vector]


class Shape(Protocol):
    """A solid."""

    def distance(self, points: Points) -> Field:
        """Return the signed distance in mm of each point."""
        ...

    def box(self) -> Box:
        """Return the lowest and the highest corner of a box that holds the solid, mm."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, turned by `turn` degrees about its own x, then y, then z axis.

    The distance is the first-order estimate k0 (k0 - 1) / k1 with k0 = |p / r| and k1 = |p / r^2|.
    """

    centre: Vector
    radii: Vector
    turn: Vector = (0.0, 0.0, 0.0)

    def distance(self, points: Points) -> Field:
        """Return the signed distance in mm of each point."""
        offset = [p - np.float32(c) for p, c in zip(points, self.centre, strict=True)]
        own = self._own_axes(offset)
        scaled = [p / np.float32(r) for p, r in zip(own, self.radii, strict=True)]
        k0 = np.sqrt(_sum_of_squares(scaled))
        k1 = np.sqrt(_sum_of_squares([p / np.float32(r) for p, r in zip(scaled, self.radii, strict=True)]))
        return np.asarray(k0 * (k0 - 1) / np.maximum(k1, 1e-6), dtype=np.float32)

    def _own_axes(self, offset: list[Field]) -> list[Field]:
        if not any(self.turn):
            return offset
        matrix = rotation(self.turn).T.astype(np.float32)
        return [reduce(np.add, (m * p for m, p in zip(row, offset, strict=True))) for row in matrix]

    def box(self) -> Box:
        """Return the lowest and the highest corner of a box that holds the solid, mm."""
        reach = np.sqrt(((rotation(self.turn) * self.radii) ** 2).sum(axis=1))
        low, high = np.array(self.centre) - reach, np.array(self.centre) + reach
        return _vector(low), _vector(high)


@dataclass(frozen=True)
class Capsule:
    """All points within `radius` mm of the line from `start` to `end`."""

    start: Vector
    end: Vector
    radius: float

    def distance(self, points: Points) -> Field:
        """Return the signed distance in mm of each point."""
        offset = [p - np.float32(s) for p, s in zip(points, self.start, strict=True)]
        axis = np.subtract(self.end, self.start).astype(np.float32)
        along = reduce(np.add, (a * p for a, p in zip(axis, offset, strict=True))) / np.float32(axis @ axis)
        along = np.clip(along, 0, 1)
        rest = [p - a * along for a, p in zip(axis, offset, strict=True)]
        return np.asarray(np.sqrt(_sum_of_squares(rest)) - np.float32(self.radius), dtype=np.float32)

    def box(self) -> Box:
        """Return the lowest and the highest corner of a box that holds the solid, mm."""
        ends = np.array([self.start, self.end])
        return _vector(ends.min(axis=0) - self.radius), _vector(ends.max(axis=0) + self.radius)


@dataclass(frozen=True)
class HalfSpace:
    """All points below a plane: where normal . point < offset."""

    normal: Vector
    offset: float

    def distance(self, points: Points) -> Field:
        """Return the signed distance in mm of each point."""
        length = float(np.linalg.norm(self.normal))
        parts = (np.float32(n / length) * p for n, p in zip(self.normal, points, strict=True))
        return np.asarray(reduce(np.add, parts) - np.float32(self.offset / length), dtype=np.float32)

    def box(self) -> Box:
        """Return the whole space: a plane bounds nothing by itself."""
        return (-1e6, -1e6, -1e6), (1e6, 1e6, 1e6)


@dataclass(frozen=True)
class Shell:
    """The skin of a solid: everything within half of `thickness` mm of its surface."""

    solid: Shape
    thickness: float

    def distance(self, points: Points) -> Field:
        """Return the signed distance in mm of each point."""
        return np.asarray(np.abs(self.solid.distance(points)) - np.float32(self.thickness / 2), dtype=np.float32)

    def box(self) -> Box:
        """Return the lowest and the highest corner of a box that holds the solid, mm."""
        low, high = self.solid.box()
        return _vector(np.array(low) - self.thickness), _vector(np.array(high) + self.thickness)


@dataclass(frozen=True)
class Common:
    """What all of several solids share."""

    solids: tuple[Shape, ...]

    def distance(self, points: Points) -> Field:
        """Return the signed distance in mm of each point."""
        return reduce(np.maximum, (solid.distance(points) for solid in self.solids))

    def box(self) -> Box:
        """Return the lowest and the highest corner of a box that holds the solid, mm."""
        boxes = [solid.box() for solid in self.solids]
        low = np.max([box[0] for box in boxes], axis=0)
        high = np.min([box[1] for box in boxes], axis=0)
        return _vector(low), _vector(high)


def rotation(turn: Vector) -> NDArray[np.float64]:
    """Return the rotation by `turn` degrees about x, then y, then z; shape (3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _sum_of_squares(parts: list[Field]) -> Field:
    return reduce(np.add, (part * part for part in parts))


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
