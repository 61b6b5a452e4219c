"""The registration of the ProCancer-I curation tool: DIPY's, with its parameters, for reproducing earlier work.

ProCancer-I deliverable D4.4, section 5.6 and Appendix B: mutual information (Mattes et al., IEEE Trans. Med. Imaging
22, 2003) maximised over a translation, then a rigid, then an affine transform, each from where the one before ended,
coarse to fine, with `dipy.align.imaffine` (Garyfallidis et al., Front. Neuroinform. 8, 2014). It is slower and less
exact than our own engine; that is what it was.

DIPY samples every k-th voxel in memory order, each moved a little by a generator with a fixed seed, so results repeat,
but depend on the order of axes: it is given arrays [x, y, z], as readers of NIfTI give them. Whether the world is LPS
or RAS changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation import geometry
from curation.errors import GeometryError, MissingDependencyError, RegistrationError
from curation.geometry import Array
from curation.optional import require
from curation.registration.parameters import RegistrationParameters, RegistrationStep, check_honoured
from curation.volume import Volume

if TYPE_CHECKING:
    from curation.reading.dicom_io import Progress

_FEATURE = "The registration engine 'dipy'"
_TRANSFORMS = {
    "translation": "TranslationTransform3D",
    "rigid": "RigidTransform3D",
    "affine": "AffineTransform3D",
}
_ORDER = np.eye(4)[[2, 1, 0, 3]]  # exchanges (z, y, x, 1) and (x, y, z, 1)
_LARGEST = 1e30  # beyond it squares and differences overflow


def engine_version() -> str:
    """Return the engine's name and version, for example ``dipy 1.12.1``.

    Raises
    ------
    MissingDependencyError
        If DIPY is not installed.
    """
    try:
        return f"dipy {version('dipy')}"
    except PackageNotFoundError as error:
        raise MissingDependencyError(
            f"{_FEATURE} needs the package 'dipy', which is not installed. "
            "Install it with: pip install 'lightbox[curation]'"
        ) from error


def register(
    static: NDArray[Any],
    moving: NDArray[Any],
    static_affine: ArrayLike,
    moving_affine: ArrayLike,
    parameters: RegistrationParameters,
) -> Array:
    """Find the transform that lays one image on another.

    Parameters
    ----------
    static, moving : ndarray, shape (z, y, x)
        Finite values that are not all the same, at least 2 along each axis.
    static_affine, moving_affine : array_like, shape (4, 4)
        Map ``(z, y, x, 1)`` to LPS mm.
    parameters : RegistrationParameters
        With all fields, as `check_honoured` asks for the engine ``dipy``.

    Returns
    -------
    ndarray, shape (4, 4)
        Maps an LPS point (mm) seen in `moving` to where it lies in `static`: the inverse of DIPY's own matrix.

    Raises
    ------
    ParameterError
        If a field is missing, or one that DIPY ignores is set.
    RegistrationError
        If an image cannot be registered, the images have no point in common, or DIPY gives no usable transform.
        (DIPY itself gives the identity for images that hold NaN or do not meet.)
    GeometryError
        If an affine is none.
    """
    check_honoured(parameters, "dipy", "coregistration")  # it honours the same for both functions
    images = _checked(static, "static"), _checked(moving, "moving")
    affines = geometry.check_affine(static_affine), geometry.check_affine(moving_affine)
    if not _meet(images[0].shape, affines[0], images[1].shape, affines[1]):
        raise RegistrationError(
            "The static and the moving image have no point in common, so there is nothing to compare; "
            "check that both are of one Frame of Reference."
        )
    # Copies: DIPY's compiled parts take no read-only arrays.
    arrays = tuple(image.transpose(2, 1, 0).copy() for image in images)
    worlds = tuple(affine @ _ORDER for affine in affines)
    transform: Array | None = None
    for step in parameters.registration_steps:
        transform = _run(step, arrays, worlds, transform, parameters)
    return _inverted(transform)


def motion_transforms(
    volumes: Sequence[Volume],
    reference: int,
    parameters: RegistrationParameters,
    progress: Progress | None = None,
) -> Array:
    """Find where the volumes of a series lie relative to one of them.

    Parameters
    ----------
    volumes : sequence of Volume
        Each is read once.
    reference : int
        Number of the volume that stays.
    parameters : RegistrationParameters
        As for `register`.
    progress : callable, optional
        Called with the number of volumes done and of all.

    Returns
    -------
    ndarray, shape (n_volumes, 4, 4)
        Transform k maps an LPS point (mm) seen in volume k to where it lies in the reference; identity for the
        reference.

    Raises
    ------
    RegistrationError
        If there is no such reference, or a volume cannot be registered; the message has its number.
    ParameterError
        As for `register`.
    """
    check_honoured(parameters, "dipy", "motion_correction")
    count = len(volumes)
    if not 0 <= reference < count:
        raise RegistrationError(f"Expected a reference from 0 to {count - 1}, a volume of the series; got {reference}.")
    static = volumes[reference]
    transforms = np.tile(np.eye(4), (count, 1, 1))
    for k in range(count):
        if k != reference:
            moving = volumes[k]
            try:
                transforms[k] = register(static.array, moving.array, static.affine, moving.affine, parameters)
            except RegistrationError as error:
                raise RegistrationError(f"Volume {k} cannot be registered to volume {reference}. {error}") from error
        if progress is not None:
            progress(k + 1, count)
    return transforms


def coregistration_transform(moving: Volume, static: Volume, parameters: RegistrationParameters) -> Array:
    """Find the transform that lays one volume on a volume of another series.

    Parameters
    ----------
    moving, static : Volume
    parameters : RegistrationParameters
        As for `register`.

    Returns
    -------
    ndarray, shape (4, 4)
        Maps an LPS point (mm) seen in `moving` to where it lies in `static`.

    Raises
    ------
    RegistrationError, ParameterError
        As for `register`.
    """
    return register(static.array, moving.array, static.affine, moving.affine, parameters)


def _run(
    step: RegistrationStep,
    arrays: Sequence[NDArray[Any]],
    worlds: Sequence[Array],
    start: Array | None,
    parameters: RegistrationParameters,
) -> Array:
    """Run one step; takes and gives DIPY's matrix, which maps points of the static to points of the moving image."""
    imaffine = require("dipy.align.imaffine", _FEATURE, "curation")
    kinds = require("dipy.align.transforms", _FEATURE, "curation")
    registration = imaffine.AffineRegistration(
        metric=imaffine.MutualInformationMetric(nbins=parameters.nbins, sampling_proportion=parameters.sampling_prop),
        level_iters=[level.level_iters for level in step.levels],
        sigmas=[level.sigma for level in step.levels],
        factors=[level.factor for level in step.levels],
        verbosity=0,
    )
    kind = getattr(kinds, _TRANSFORMS[step.registration_step_name])()
    try:
        found = registration.optimize(
            *arrays, kind, None, static_grid2world=worlds[0], moving_grid2world=worlds[1], starting_affine=start
        )
    except (ValueError, ArithmeticError, np.linalg.LinAlgError, imaffine.AffineInvalidValuesError) as error:
        factors = ", ".join(str(level.factor) for level in step.levels)
        shapes = " and ".join(str(array.shape[::-1]) for array in arrays)
        raise RegistrationError(
            f"DIPY's {step.registration_step_name} step fails on images of {shapes} elements with the factors "
            f"{factors}: {error}. Expected images that are larger than the factors; use smaller factors."
        ) from error
    return np.asarray(found.affine, dtype=np.float64)


def _checked(image: NDArray[Any], name: str) -> NDArray[np.float64]:
    array = np.asarray(image)
    if array.ndim != 3 or min(array.shape, default=0) < 2:
        raise RegistrationError(
            f"The {name} image must be an array [z, y, x] of at least 2 elements along each axis; got {array.shape}."
        )
    if array.dtype.kind not in "biuf":
        raise RegistrationError(f"The {name} image must hold real numbers; got {array.dtype}.")
    values = array.astype(np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > _LARGEST:
        raise RegistrationError(f"The {name} image must hold finite values; it has NaN, infinite or immense ones.")
    if values.min() == values.max():
        raise RegistrationError(f"The {name} image has the one value {values.flat[0]:g} and nothing to register by.")
    return values


def _meet(static_shape: tuple[int, ...], static: Array, moving_shape: tuple[int, ...], moving: Array) -> bool:
    """Return whether any of 9 x 9 x 9 points spread over the static grid lies in the moving one, or the reverse."""
    return _reaches(static_shape, static, moving_shape, moving) or _reaches(moving_shape, moving, static_shape, static)


def _reaches(shape: tuple[int, ...], affine: Array, other_shape: tuple[int, ...], other: Array) -> bool:
    axes = [np.linspace(0, count - 1, 9) for count in shape]
    points = geometry.apply_affine(affine, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    indices = geometry.apply_affine(geometry.inverse(other), points)
    return bool(((indices >= 0) & (indices <= np.array(other_shape) - 1)).all(axis=-1).any())


def _inverted(transform: Array | None) -> Array:
    """Return the inverse of DIPY's matrix, after checking that it has one."""
    try:
        return geometry.inverse(geometry.check_affine(np.eye(4) if transform is None else transform))
    except GeometryError as error:
        raise RegistrationError(f"DIPY gives no usable transform: {error}") from error
