"""Small images with edges everywhere, and series made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from curation import Series, Volume
from curation.geometry import apply_affine, inverse
from curation.registration.poses import step

OBLIQUE = np.array([[0.1, -0.3, 1.9, -70], [0.9, 1.9, 0.3, -60], [2.8, -0.6, -0.05, -20], [0, 0, 0, 1.0]])
"""Anisotropic (3 x 2 x 2 mm) and turned about all axes, nearly orthogonal."""

SHAPE = (16, 64, 72)


def tissue(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of a body full of blobs at LPS points, shape (..., 3)."""
    generator = np.random.default_rng(5)
    result = np.zeros(points.shape[:-1])
    for _ in range(60):
        centre, width = generator.uniform([-40, -40, -15], [40, 40, 25]), generator.uniform(4, 12)
        distance = np.linalg.norm(points - centre, axis=-1)
        result += generator.uniform(50, 150) / (1 + np.exp((distance - width) / 0.8))
    return result


def scene(
    transform: NDArray[np.float64] | None = None,
    *,
    affine: NDArray[np.float64] = OBLIQUE,
    shape: tuple[int, int, int] = SHAPE,
    noise: float = 3.0,
    seed: int = 0,
) -> Volume:
    """Return the body as seen after it has moved by `transform` (LPS mm)."""
    indices = np.moveaxis(np.indices(shape), 0, -1)
    points = apply_affine(affine, indices)
    back = points if transform is None else apply_affine(inverse(transform), points)
    values = tissue(back) + np.random.default_rng(seed).normal(0, noise, shape)
    return Volume(values.clip(0).astype(np.float32), affine, "2.25.1")


def moved_by(mm: Sequence[float], degrees: Sequence[float]) -> NDArray[np.float64]:
    """Return a rigid transform about the origin."""
    return step([*mm, *np.radians(degrees)], (0.0, 0.0, 0.0))


def series_of(volumes: Sequence[Volume], role: str = "dwi", b_values: tuple[float, ...] | None = None) -> Series:
    """Return a series of volumes that are in memory."""
    first = volumes[0]
    return Series(
        uid="2.25.7",
        description="scene",
        modality="MR",
        role=role,  # type: ignore[arg-type]
        plane="axial",
        shape=(len(volumes), *first.shape),
        spacing_mm=first.spacing_mm,
        b_values=b_values,
        acquisition_times_s=None,
        problems=(),
        source=lambda k: volumes[k],
        uids=("2.25.7",),
        frame_of_reference_uid="2.25.1",
    )


def other_contrast(volume: Volume) -> Volume:
    """Return the same anatomy in another, non-monotonic contrast, somewhat blurred."""
    values = np.asarray(volume.array, dtype=np.float64)
    turned = 200 * np.exp(-(((values - 120) / 60) ** 2)) + 0.3 * values
    return Volume(gaussian_filter(turned, (0, 0.6, 0.6)).astype(np.float32), volume.affine, "2.25.1")


def error_mm(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the mean distance between what two transforms do to points within 30 mm of the origin."""
    points = np.random.default_rng(1).uniform(-30, 30, (200, 3))
    return float(np.linalg.norm(apply_affine(found, points) - apply_affine(truth, points), axis=1).mean())
