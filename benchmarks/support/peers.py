"""The registrations that ours is compared with, each as its users run it.

All give the matrix, shape (4, 4), that maps an LPS point of the fixed volume to where it lies in the moving one.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation import Volume
from curation.geometry import spacing_mm
from curation.registration.dipy_engine import coregistration_transform
from curation.registration.dipy_engine import motion_transforms as dipy_motion
from curation.registration.lightbox_engine import motion_transforms
from curation.registration.parameters import default_parameters

Array = NDArray[np.float64]


def lightbox(fixed: Volume, moving: Volume) -> Array:
    """Ours, motion correction."""
    transforms, _ = motion_transforms([fixed, moving], 0, default_parameters("lightbox", "motion_correction"))
    return np.linalg.inv(transforms[1])


def dipy(fixed: Volume, moving: Volume) -> Array:
    """DIPY with the parameters of the ProCancer-I curation tool."""
    transforms = dipy_motion([fixed, moving], 0, default_parameters("dipy", "motion_correction"))
    return np.linalg.inv(transforms[1])


def dipy_to_static(fixed: Volume, moving: Volume) -> Array:
    """DIPY with the same parameters, as co-registration."""
    return np.linalg.inv(coregistration_transform(moving, fixed, default_parameters("dipy", "coregistration")))


def dipy_resample(volume: Volume, pose: Array, grid: Volume) -> NDArray[Any]:
    """DIPY's own resampling of a volume onto a grid; `pose` maps points of the grid into the volume."""
    from dipy.align.imaffine import AffineMap

    world_to_volume = AffineMap(
        pose,
        domain_grid_shape=grid.shape,
        domain_grid2world=grid.affine,
        codomain_grid_shape=volume.shape,
        codomain_grid2world=volume.affine,
    )
    return np.asarray(world_to_volume.transform(volume.array))


def simpleitk(fixed: Volume, moving: Volume) -> Array:
    """SimpleITK: Mattes mutual information, rigid, three levels, regular step gradient descent."""
    import SimpleITK as sitk  # noqa: N813  its own documentation's name

    images = [_sitk_image(sitk, volume) for volume in (fixed, moving)]
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([0.5, 0.2, 0.1], 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.01, 60, 0.5)
    method.SetOptimizerScalesFromPhysicalShift()
    start = sitk.CenteredTransformInitializer(
        *images, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    transform = sitk.Euler3DTransform(start)
    transform.SetTranslation((0.0, 0.0, 0.0))
    method.SetInitialTransform(transform, True)
    method.Execute(*images)
    corners = np.array([transform.TransformPoint(point) for point in [(0.0, 0.0, 0.0), *np.eye(3).tolist()]])
    result = np.eye(4)
    result[:3, 3] = corners[0]
    result[:3, :3] = (corners[1:] - corners[0]).T
    return result


def _sitk_image(sitk: Any, volume: Volume) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=np.float32))
    steps = np.array(spacing_mm(volume.affine))
    directions = (volume.affine[:3, :3] / steps)[:, ::-1]
    u, _, v = np.linalg.svd(directions)
    image.SetSpacing(steps[::-1].tolist())
    image.SetDirection((u @ v).ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image


def ants(fixed: Volume, moving: Volume) -> Array:
    """ANTs, rigid, from where the images lie."""
    import ants as antspy
    import pandas

    images = [_ants_image(antspy, volume) for volume in (fixed, moving)]
    done = antspy.registration(*images, type_of_transform="Rigid", initial_transform="Identity", random_seed=1)
    points = pandas.DataFrame([(0.0, 0.0, 0.0), *np.eye(3).tolist()], columns=list("xyz"))
    corners = antspy.apply_transforms_to_points(3, points, done["fwdtransforms"]).to_numpy()
    result = np.eye(4)
    result[:3, 3] = corners[0]
    result[:3, :3] = (corners[1:] - corners[0]).T
    return result


def _ants_image(antspy: Any, volume: Volume) -> Any:
    steps = np.array(spacing_mm(volume.affine))[::-1]
    directions = volume.affine[:3, 2::-1] / steps
    u, _, v = np.linalg.svd(directions)
    values = np.ascontiguousarray(volume.array.T, dtype=np.float32)
    return antspy.from_numpy(values, origin=volume.affine[:3, 3].tolist(), spacing=steps.tolist(), direction=u @ v)


def installed(name: str) -> bool:
    """Return whether a peer's package is there."""
    return importlib.util.find_spec(name) is not None
