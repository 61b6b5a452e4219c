"""The transforms of a result as a Spatial Registration object, and back (PS3.3 A.39.1 and C.20.2).

A matrix maps points of the images that its item names to points of the registered coordinate system, which is
that of the object's Frame of Reference UID (PS3.3 C.20.2.1.1); both are LPS in mm. That is the direction of
`Derivation.transforms`, which are stored as they are.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import SpatialRegistrationStorage

from curation.derived import codes
from curation.derived.grid import decimals
from curation.derived.references import reference
from curation.derived.sources import Instance
from curation.errors import DerivedError, MissingDataError
from curation.geometry import Array, check_affine

MatrixType = Literal["RIGID", "RIGID_SCALE", "AFFINE"]

RIGID_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class RegisteredImages:
    """Images and the matrix that maps their points to the registered coordinate system.

    Parameters
    ----------
    instance_uids : tuple of str
        SOP Instance UIDs; empty where a whole frame of reference is meant.
    frame_of_reference_uid : str
        Empty where only the images are meant.
    transform : ndarray, shape (4, 4)
        LPS mm to LPS mm.
    matrix_type : str
        ``RIGID RIGID_SCALE AFFINE``.
    """

    instance_uids: tuple[str, ...]
    frame_of_reference_uid: str
    transform: Array
    matrix_type: str


@dataclass(frozen=True, eq=False)
class SpatialRegistration:
    """A Spatial Registration object.

    Parameters
    ----------
    uid, series_uid : str
        SOP Instance UID and Series Instance UID.
    frame_of_reference_uid : str
        Of the registered coordinate system.
    items : tuple of RegisteredImages
        In stored order.
    """

    uid: str
    series_uid: str
    frame_of_reference_uid: str
    items: tuple[RegisteredImages, ...]


def matrix_type(transform: Array) -> MatrixType:
    """Return what kind of map a matrix is (PS3.3 C.20.2.1.2).

    Parameters
    ----------
    transform : ndarray, shape (4, 4)

    Returns
    -------
    str
        ``RIGID`` where the upper left part is a rotation, ``RIGID_SCALE`` where its columns are those of a rotation
        times positive factors, ``AFFINE`` else.
    """
    linear = transform[:3, :3]
    lengths = np.linalg.norm(linear, axis=0)
    directions = linear / lengths
    if np.abs(directions.T @ directions - np.eye(3)).max() > RIGID_TOLERANCE or np.linalg.det(linear) < 0:
        return "AFFINE"
    return "RIGID" if np.abs(lengths - 1).max() <= RIGID_TOLERANCE else "RIGID_SCALE"


def registration_item(
    instances: Iterable[Instance], transform: Array, frame_of_reference_uid: str, comment: str, same_frame: bool
) -> Dataset:
    """Return one item of the Registration Sequence.

    Parameters
    ----------
    instances : iterable of Instance
        The images.
    transform : ndarray, shape (4, 4)
        Maps their points to the registered coordinate system, LPS mm.
    frame_of_reference_uid : str
        Given where the matrix holds for the whole frame of reference; empty where other images in that frame
        have another matrix, or it is the registered frame itself and the matrix moves.
    comment : str
        For Frame of Reference Transformation Comment.
    same_frame : bool
        Whether images and registered coordinate system share a frame of reference.
    """
    matrix = Dataset()
    matrix.FrameOfReferenceTransformationMatrixType = matrix_type(transform)
    matrix.FrameOfReferenceTransformationMatrix = decimals(transform.ravel())
    found = codes.CONTENT_BASED_ALIGNMENT
    if np.allclose(transform, np.eye(4), atol=1e-9):
        found = codes.FRAME_OF_REFERENCE_IDENTITY if same_frame else codes.ACQUISITION_EQUIPMENT_ALIGNMENT
    registration = Dataset()
    registration.FrameOfReferenceTransformationComment = comment
    registration.RegistrationTypeCodeSequence = [codes.concept(*found)]
    registration.MatrixSequence = [matrix]
    item = Dataset()
    if frame_of_reference_uid:
        item.FrameOfReferenceUID = frame_of_reference_uid
    item.ReferencedImageSequence = [reference(instance) for instance in instances]
    item.MatrixRegistrationSequence = [registration]
    return item


def registration_module(items: Iterable[Dataset], frame_of_reference_uid: str, description: str) -> Dataset:
    """Return the Frame of Reference and Spatial Registration modules.

    Parameters
    ----------
    items : iterable of Dataset
        From `registration_item`.
    frame_of_reference_uid : str
        Of the registered coordinate system.
    description : str
        Content Description, at most 64 characters.
    """
    dataset = Dataset()
    dataset.SOPClassUID = SpatialRegistrationStorage
    dataset.FrameOfReferenceUID = frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = 1
    dataset.ContentLabel = "REGISTRATION"
    dataset.ContentDescription = description
    dataset.ContentCreatorName = ""
    dataset.RegistrationSequence = Items(list(items))
    return dataset


def read_registration(path: str | os.PathLike[str]) -> SpatialRegistration:
    """Read a Spatial Registration object, whoever wrote it.

    Parameters
    ----------
    path : path

    Returns
    -------
    SpatialRegistration
        Several matrices of one item are multiplied in their order: the first is applied first.

    Raises
    ------
    MissingDataError
        If there is no such file.
    DerivedError
        If it is no Spatial Registration object or is damaged.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingDataError(f"{file} is no file. Give a DICOM Spatial Registration object.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
            if dataset.get("SOPClassUID") != SpatialRegistrationStorage:
                raise DerivedError(f"{file} is no Spatial Registration object but {dataset.get('SOPClassUID')}.")
            return SpatialRegistration(
                uid=str(dataset.SOPInstanceUID),
                series_uid=str(dataset.SeriesInstanceUID),
                frame_of_reference_uid=str(dataset.FrameOfReferenceUID),
                items=tuple(_registered(item) for item in dataset.RegistrationSequence),
            )
    except DerivedError:
        raise
    except Exception as error:  # untrusted bytes make the parser raise nearly anything
        raise DerivedError(f"{file} cannot be read as a registration ({type(error).__name__}: {error}).") from error


def _registered(item: Dataset) -> RegisteredImages:
    transform, kinds = np.eye(4), []
    for matrix in item.MatrixRegistrationSequence[0].MatrixSequence:
        transform = _matrix(matrix.FrameOfReferenceTransformationMatrix) @ transform
        kinds.append(str(matrix.FrameOfReferenceTransformationMatrixType))
    return RegisteredImages(
        instance_uids=tuple(str(image.ReferencedSOPInstanceUID) for image in item.get("ReferencedImageSequence", [])),
        frame_of_reference_uid=str(item.get("FrameOfReferenceUID", "")),
        transform=transform,
        matrix_type=kinds[0] if len(kinds) == 1 else matrix_type(transform),
    )


def _matrix(values: Any) -> Array:
    return check_affine(np.array([float(value) for value in values]).reshape(4, 4))
