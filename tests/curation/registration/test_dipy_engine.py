"""The DIPY engine: the earlier tool's pipeline in our conventions, and errors where DIPY is silent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dipy.align.imaffine import AffineRegistration, MutualInformationMetric
from dipy.align.transforms import AffineTransform3D, RigidTransform3D, TranslationTransform3D
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from curation import Volume, geometry, read_study
from curation.errors import GeometryError, ParameterError, RegistrationError
from curation.registration.dipy_engine import coregistration_transform, engine_version, motion_transforms, register
from curation.registration.parameters import (
    Level,
    RegistrationParameters,
    RegistrationStep,
    default_parameters,
)

SHIFT_MM = np.array([3.0, -2.0, 4.0])
TILT = np.radians(20.0)
AFFINE = np.array(
    [
        [0, 0, 2.0, -30],
        [-3.0 * np.sin(TILT), 2.0 * np.cos(TILT), 0, -30],
        [3.0 * np.cos(TILT), 2.0 * np.sin(TILT), 0, -20],
        [0, 0, 0, 1],
    ]
)
QUICK = RegistrationParameters(
    (
        RegistrationStep("translation", (Level(2, 100, 1), Level(1, 30, 0))),
        RegistrationStep("rigid", (Level(1, 30, 0),)),
    ),
    32,
    1.0,
)


def _blobs(shift_mm: NDArray[Any] | float = 0.0, shape: tuple[int, int, int] = (16, 30, 32)) -> Volume:
    """Three blobs in patient space, moved by a shift, on a tilted anisotropic grid; read-only as volumes are."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = geometry.apply_affine(AFFINE, indices) - shift_mm
    values = np.zeros(shape)
    for x, y, z, size, height in ((0, -8, 5, 12, 100), (12, 5, -2, 6, 160), (-10, 3, 12, 5, 60)):
        values += height * np.exp(-((points - (x, y, z)) ** 2).sum(axis=-1) / (2 * size**2))
    return Volume(values.astype(np.float32), AFFINE)


def test_a_shift_is_found_in_our_direction() -> None:
    """A point seen in the moving image is mapped to where it lies in the static one: what moved is taken back."""
    transform = coregistration_transform(_blobs(SHIFT_MM), _blobs(), QUICK)
    points = np.array([[0.0, -8, 5], [12, 5, -2], [-10, 3, 12]])
    np.testing.assert_allclose(geometry.apply_affine(transform, points + SHIFT_MM), points, atol=0.3)


def test_results_repeat_whatever_the_global_seed() -> None:
    """The same input gives the same bits, and the caller's random state is not touched."""
    static, moving = _blobs(), _blobs(SHIFT_MM)
    results = []
    for seed in (1, 2):
        np.random.seed(seed)
        results.append(coregistration_transform(moving, static, QUICK))
        assert np.random.randint(1 << 30) == np.random.RandomState(seed).randint(1 << 30)
    assert np.array_equal(*results)


def test_motion_has_one_transform_per_volume() -> None:
    """Identity for the reference, the pair's own result for others, each reported as done."""
    volumes = [_blobs(SHIFT_MM), _blobs(), _blobs(-SHIFT_MM)]
    done: list[tuple[int, int]] = []
    transforms = motion_transforms(volumes, 1, QUICK, lambda k, n: done.append((k, n)))
    assert transforms.shape == (3, 4, 4)
    assert np.array_equal(transforms[1], np.eye(4))
    assert np.array_equal(transforms[2], coregistration_transform(volumes[2], volumes[1], QUICK))
    np.testing.assert_allclose(transforms[0, :3, 3], -SHIFT_MM, atol=0.5)
    assert done == [(1, 3), (2, 3), (3, 3)]


def _with(value: float) -> NDArray[Any]:
    array = _blobs().array.copy()
    array[3, 4, 5] = value
    return array


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (_with(np.nan), "finite"),
        (_with(np.inf), "finite"),
        (_with(1e38), "finite"),
        (np.full((4, 8, 8), 7.0), "the one value 7"),
        (_blobs().array[:1], "at least 2 elements"),
        (np.zeros((0, 8, 8)), "at least 2 elements"),
        (np.zeros((8, 8)), "at least 2 elements"),
        (np.zeros((4, 8, 8), dtype=complex), "real numbers; got complex128"),
        (np.zeros((4, 8, 8), dtype=object), "real numbers; got object"),
    ],
)
def test_images_that_dipy_cannot_register_are_refused(image: NDArray[Any], message: str) -> None:
    """On both sides, by name, where DIPY gives the identity or an unrelated error."""
    good = _blobs().array
    with pytest.raises(RegistrationError, match=f"The moving image.*{message}"):
        register(good, image, AFFINE, AFFINE, QUICK)
    with pytest.raises(RegistrationError, match=f"The static image.*{message}"):
        register(image, good, AFFINE, AFFINE, QUICK)


def test_images_that_do_not_meet_are_refused() -> None:
    """Half a metre apart there is nothing to compare."""
    away = AFFINE.copy()
    away[0, 3] += 500
    with pytest.raises(RegistrationError, match="no point in common"):
        register(_blobs().array, _blobs().array, AFFINE, away, QUICK)


def test_a_small_image_inside_a_large_one_meets_it() -> None:
    """An image that lies between the points checked in the other is found from its own side."""
    small = AFFINE.copy()
    small[:3, 3] = geometry.apply_affine(AFFINE, (8.1, 14.6, 15.6))
    small[:3, :3] /= 100
    result = register(_blobs().array, _blobs().array, AFFINE, small, QUICK)
    assert np.isfinite(result).all()


def test_factors_that_leave_nothing_are_named() -> None:
    """Two slices of 3 mm shrunk by 4 leave none; the error says so instead of DIPY's."""
    thin = _blobs(shape=(2, 30, 32))
    with pytest.raises(RegistrationError, match=r"translation step .*\(2, 30, 32\).* 4, 2, 1.*smaller factors"):
        coregistration_transform(thin, thin, default_parameters("dipy", "coregistration"))


def test_a_volume_that_fails_is_named() -> None:
    """The number of the volume is in the message, and so is a reference that is not there."""
    volumes = [_blobs(), Volume(_with(np.nan), AFFINE)]
    with pytest.raises(RegistrationError, match=r"Volume 1 cannot be registered to volume 0.*finite"):
        motion_transforms(volumes, 0, QUICK)
    with pytest.raises(RegistrationError, match=r"from 0 to 1, .* got 2"):
        motion_transforms(volumes, 2, QUICK)


def test_parameters_and_affines_are_checked_first() -> None:
    """The other engine's parameters and a flat affine raise their own errors."""
    array = _blobs().array
    with pytest.raises(ParameterError, match="'dipy' cannot run"):
        register(array, array, AFFINE, AFFINE, default_parameters("lightbox", "coregistration"))
    with pytest.raises(GeometryError):
        register(array, array, AFFINE, np.zeros((4, 4)), QUICK)


def test_dipy_is_imported_when_it_runs() -> None:
    """Importing the engine loads no DIPY; its version is told without it."""
    code = (
        "import sys, curation.registration.dipy_engine as e; v = e.engine_version(); "
        "print(v, any(m.partition('.')[0] == 'dipy' for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*engine_version().split(), "False"]
    assert engine_version().startswith("dipy 1.")


def _documents_pipeline(static: Volume, moving: Volume) -> NDArray[Any]:
    """DIPY called as D4.4 describes, on arrays [x, y, z]; from static to moving."""
    order = np.eye(4)[[2, 1, 0, 3]]
    registration = AffineRegistration(
        metric=MutualInformationMetric(nbins=32, sampling_proportion=0.1),
        level_iters=[500, 100, 10], sigmas=[3, 2, 0], factors=[4, 2, 1], verbosity=0,
    )  # fmt: skip
    found = None
    for kind in (TranslationTransform3D, RigidTransform3D, AffineTransform3D):
        found = registration.optimize(
            static.array.T, moving.array.T, kind(), None,
            static_grid2world=static.affine @ order, moving_grid2world=moving.affine @ order, starting_affine=found,
        ).affine  # fmt: skip
    assert found is not None
    return np.asarray(found)


@pytest.mark.parametrize("pair", ["synthetic", "real"])
def test_defaults_give_the_documents_result(pair: str, request: pytest.FixtureRequest) -> None:
    """With default parameters the transform is the inverse of the pipeline called directly."""
    if pair == "real":
        folder: Path = request.getfixturevalue("real_data")
        (dwi,) = read_study(folder / "prostatex" / "ProstateX-0000").with_role("dwi")
        static, moving = dwi.volume(0), dwi.volume(1)
    else:
        noise = gaussian_filter(np.random.default_rng(0).normal(size=(16, 30, 32)), 1) * 5
        static, moving = _blobs(), Volume(_blobs(SHIFT_MM).array + noise, AFFINE)
    ours = coregistration_transform(moving, static, default_parameters("dipy", "coregistration"))
    np.testing.assert_allclose(np.linalg.inv(ours), _documents_pipeline(static, moving), atol=1e-9)
