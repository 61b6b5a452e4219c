"""Real volumes, moved by a known transform: what a registration should find is known.

The moved volume is interpolated once, with a spline of order 5, and gets Rician noise of 3 % of its 98th percentile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from curation import Series, Study, Volume, read_study
from curation.noise import otsu
from curation.registration.poses import rotation

Array = NDArray[np.float64]
Values = NDArray[np.float32]

SMALL_SEEDS = range(10)
"""Up to 6 mm and 4 degrees."""
ALL_SEEDS = range(13)
"""The last three: 9 to 14 mm and 6 to 9 degrees."""
_NOISE = 0.03
_POINTS = 4000


def data_folder() -> Path:
    """Return the folder of real DICOM, `LIGHTBOX_DATA` or its default.

    Raises
    ------
    SystemExit
        If there is none.
    """
    folder = Path(os.environ.get("LIGHTBOX_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (folder / "prostatex").is_dir():
        raise SystemExit(f"No real DICOM at {folder}: name its folder in LIGHTBOX_DATA.")
    return folder


def real_series(name: str) -> tuple[Study, Series]:
    """Return a study and its DWI (``dwi``) or DCE (``dce``) series."""
    study = read_study(data_folder() / "prostatex" / ("ProstateX-0000" if name == "dwi" else "ProstateX-0218"))
    return study, study.with_role("dwi" if name == "dwi" else "dce")[0]


@dataclass(frozen=True, eq=False)
class Case:
    """A pair to align, and where points of the fixed volume lie in the moving one.

    `pair` numbers the moving volume: what is left between the unmoved volumes of a pair is removed from the error.
    """

    seed: int
    pair: int
    fixed: Volume
    moving: Volume
    truth: Array
    points: Array


def cross_track(series: Series, seeds: range) -> Iterator[Case]:
    """Yield pairs of other b-value or late contrast: first the unmoved pairs (seed below 0), then the moved."""
    volumes = [series.volume(k) for k in range(series.n_volumes)]
    others = [1, 2] if len(volumes) == 3 else list(range(len(volumes) - 4, len(volumes)))
    points = body_points(volumes[0])
    for pair, number in enumerate(others):
        yield Case(-1 - pair, pair, volumes[0], with_noise(volumes[number], 7000 + pair), np.eye(4), points)
    for seed in seeds:
        pair = seed % len(others)
        truth = motion(seed, volumes[0].centre_mm)
        moved = move(volumes[others[pair]], truth)
        yield Case(seed, pair, volumes[0], with_noise(moved, 77 + seed), truth, points)


def motion(seed: int, centre: Array) -> Array:
    """Return the transform of a seed: maps points of the fixed volume to where they lie in the moving one."""
    generator = np.random.default_rng(1000 + seed)
    large = seed >= len(SMALL_SEEDS)
    direction, axis = generator.normal(size=3), generator.normal(size=3)
    shift = direction / np.linalg.norm(direction) * (generator.uniform(9, 14) if large else generator.uniform(0, 6))
    angle = np.radians(generator.uniform(6, 9) if large else generator.uniform(0, 4))
    result = np.eye(4)
    result[:3, :3] = rotation(axis / np.linalg.norm(axis) * angle)
    result[:3, 3] = shift + centre - result[:3, :3] @ centre
    return result


def move(volume: Volume, transform: Array) -> Volume:
    """Return the volume as it would be acquired after the patient has moved by `transform`."""
    matrix = np.linalg.inv(volume.affine) @ np.linalg.inv(transform) @ volume.affine
    indices = np.indices(volume.shape).reshape(3, -1)
    places = matrix[:3, :3] @ indices + matrix[:3, 3:]
    values = map_coordinates(volume.array.astype(np.float64), places, order=5, mode="nearest").reshape(volume.shape)
    return Volume(values.clip(0).astype(np.float32), volume.affine, volume.frame_of_reference_uid)


def with_noise(volume: Volume, seed: int) -> Volume:
    """Return the volume with Rician noise."""
    generator = np.random.default_rng(seed)
    scale = _NOISE * float(np.percentile(volume.array, 98))
    real, imaginary = (generator.normal(0, scale, volume.shape) for _ in range(2))
    values = np.sqrt((volume.array + real) ** 2 + imaginary**2).astype(np.float32)
    return Volume(values, volume.affine, volume.frame_of_reference_uid)


def body_points(volume: Volume) -> Array:
    """Return points in the body, shape (n, 3) LPS mm."""
    smooth = gaussian_filter(volume.array.astype(np.float32), (0.7, 2, 2))
    level = otsu(smooth) or 0.0
    indices = np.argwhere(smooth > 0.6 * level)
    chosen = np.random.default_rng(0).choice(len(indices), min(_POINTS, len(indices)), replace=False)
    return volume.to_lps(indices[chosen])
