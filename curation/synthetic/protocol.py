"""How each kind of series is measured: grid, timing, and the habits of each vendor.

The timing is that of PI-RADS 2.1 examinations; the vendors' differences are those that a reader of files
meets: where the b-value is kept, what Image Type says, and how a dynamic series is stored. Siemens stores
one DICOM series per time point (as its TWIST sequence does), GE and Philips one series with Temporal
Position Identifier.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from curation.geometry import Array, plane_affine
from curation.synthetic.patients import Patient, Scanner
from curation.synthetic.shapes import rotation

Kind = Literal["t2-sagittal", "t2-axial", "t2-coronal", "dwi", "adc", "dce"]

B_VALUES = (50.0, 400.0, 800.0)
DYNAMIC_POINTS = 12
DYNAMIC_STEP_S = 9.0
ARRIVAL_S = 20.0
"""Seconds from the first dynamic volume until contrast agent reaches the pelvis."""

Attributes = dict[str, str | float | int | list[str]]

_T2: Attributes = {
    "ScanningSequence": "SE", "SequenceVariant": ["SK", "SP"], "ScanOptions": "", "MRAcquisitionType": "2D",
    "RepetitionTime": 5000, "EchoTime": 102, "EchoTrainLength": 25, "FlipAngle": 150, "NumberOfAverages": 2,
}  # fmt: skip
_DIFFUSION: Attributes = {
    "ScanningSequence": "EP", "SequenceVariant": ["SK", "SP"], "ScanOptions": "FS", "MRAcquisitionType": "2D",
    "RepetitionTime": 4200, "EchoTime": 66, "EchoTrainLength": 48, "FlipAngle": 90, "NumberOfAverages": 6,
}  # fmt: skip
_DYNAMIC: Attributes = {
    "ScanningSequence": "GR", "SequenceVariant": ["SP", "OSP"], "ScanOptions": "", "MRAcquisitionType": "3D",
    "RepetitionTime": 4.6, "EchoTime": 1.7, "EchoTrainLength": 1, "FlipAngle": 12, "NumberOfAverages": 1,
}  # fmt: skip

_DESCRIPTIONS: dict[Scanner, dict[Kind, str]] = {
    "siemens": {
        "t2-sagittal": "t2_tse_sag", "t2-axial": "t2_tse_tra", "t2-coronal": "t2_tse_cor",
        "dwi": "ep2d_diff_tra", "adc": "ep2d_diff_tra_ADC", "dce": "twist_tra_dynamic",
    },
    "ge": {
        "t2-sagittal": "Sag T2 FSE", "t2-axial": "Ax T2 FSE", "t2-coronal": "Cor T2 FSE",
        "dwi": "Ax DWI 50 400 800", "adc": "Apparent Diffusion Coefficient", "dce": "Ax DISCO",
    },
    "philips": {
        "t2-sagittal": "T2W_TSE_sag", "t2-axial": "T2W_TSE_ax", "t2-coronal": "T2W_TSE_cor",
        "dwi": "DWI_3b", "adc": "dADC", "dce": "DYN_THRIVE",
    },
}  # fmt: skip

_IMAGE_TYPES: dict[Scanner, dict[Kind, list[str]]] = {
    "siemens": {
        "t2-axial": ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"],
        "dwi": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "DIS2D"],
        "adc": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "DIS2D"],
        "dce": ["ORIGINAL", "PRIMARY", "M", "ND"],
    },
    "ge": {
        "t2-axial": ["ORIGINAL", "PRIMARY", "OTHER"],
        "dwi": ["ORIGINAL", "PRIMARY", "OTHER"],
        "adc": ["DERIVED", "PRIMARY", "OTHER", "ADC"],
        "dce": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    "philips": {
        "t2-axial": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
        "dwi": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
        "adc": ["DERIVED", "PRIMARY", "ADC", "ADC", "UNSPECIFIED"],
        "dce": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
    },
}


@dataclass(frozen=True)
class SeriesPlan:
    """One acquisition.

    Parameters
    ----------
    kind, number, description, image_type
        What it is called.
    affine : ndarray, shape (4, 4)
        Maps ``(z, y, x, 1)`` indices to LPS mm.
    shape : tuple of int
        (z, y, x).
    thickness_mm : float
        Of a slice; the rest of the slice distance is gap.
    attributes : dict
        Further DICOM attributes by keyword.
    start_s : float
        Seconds from the beginning of the study.
    duration_s : float
        Of one volume.
    gain : float
        Stored value per unit of signal.
    noise : float
        Standard deviation per noise level of the patient, relative to muscle.
    """

    kind: Kind
    number: int
    description: str
    image_type: list[str]
    affine: Array
    shape: tuple[int, int, int]
    thickness_mm: float
    start_s: float
    duration_s: float
    gain: float
    noise: float
    attributes: Attributes = field(default_factory=dict)

    @property
    def pixel_mm(self) -> float:
        """Distance between columns, mm."""
        return float(np.linalg.norm(self.affine[:3, 2]))


@dataclass(frozen=True)
class _Grid:
    directions: tuple[float, ...]  # before the tilt
    shape: tuple[int, int, int]
    pixel_mm: float
    step_mm: float
    thickness_mm: float


_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_GRIDS: dict[Kind, _Grid] = {
    "t2-sagittal": _Grid((0.0, 1.0, 0.0, 0.0, 0.0, -1.0), (18, 192, 192), 0.95, 3.6, 3.0),
    "t2-axial": _Grid(_AXIAL, (20, 256, 256), 0.7, 3.6, 3.0),
    "t2-coronal": _Grid((1.0, 0.0, 0.0, 0.0, 0.0, -1.0), (16, 192, 192), 0.95, 3.6, 3.0),
    "dwi": _Grid(_AXIAL, (20, 112, 112), 1.8, 3.6, 3.0),
    "adc": _Grid(_AXIAL, (20, 112, 112), 1.8, 3.6, 3.0),
    "dce": _Grid(_AXIAL, (16, 96, 96), 2.3, 3.6, 3.6),
}


def plans(patient: Patient) -> tuple[SeriesPlan, ...]:
    """Return the patient's examination, in the order of acquisition."""
    return (
        _plan(patient, "t2-sagittal", 3, _T2, start_s=120, duration_s=200, gain=2000, noise=1.4),
        _plan(patient, "t2-axial", 4, _T2, start_s=390, duration_s=240, gain=2000, noise=1.6),
        _plan(patient, "t2-coronal", 5, _T2, start_s=700, duration_s=200, gain=2000, noise=1.4),
        _plan(patient, "dwi", 6, _DIFFUSION, start_s=1000, duration_s=75, gain=1600, noise=0.5),
        _plan(patient, "adc", 7, _DIFFUSION, start_s=1150, duration_s=75, gain=1600, noise=0.5),
        _plan(
            patient, "dce", 8, _DYNAMIC, start_s=1500, duration_s=DYNAMIC_STEP_S, gain=9000, noise=0.5
        ),
    )  # fmt: skip


def _plan(
    patient: Patient,
    kind: Kind,
    number: int,
    attributes: Attributes,
    *,
    start_s: float,
    duration_s: float,
    gain: float,
    noise: float,
) -> SeriesPlan:
    grid = _GRIDS[kind]
    base: Kind = "t2-axial" if kind.startswith("t2") else kind
    return SeriesPlan(
        kind=kind,
        number=number,
        description=_DESCRIPTIONS[patient.scanner][kind],
        image_type=_IMAGE_TYPES[patient.scanner][base],
        affine=_affine(grid, patient),
        shape=grid.shape,
        thickness_mm=grid.thickness_mm,
        start_s=start_s,
        duration_s=duration_s,
        gain=gain,
        noise=noise,
        attributes={**attributes, **_habits(patient.scanner, kind)},
    )


def _habits(scanner: Scanner, kind: Kind) -> Attributes:
    """Return what one vendor writes and others do not."""
    own: Attributes = {}
    if scanner == "siemens":
        names = {"dwi": "*ep_b50t", "adc": "*ep_b50_800", "dce": "*fldyn3d1"}
        own["SequenceName"] = names.get(kind, "*tse2d1_25")
    elif kind == "dce":
        own["ContrastBolusAgent"] = "Gadolinium chelate"
    if kind == "dwi" and scanner == "ge":
        own["ScanningSequence"] = ["EP", "SE"]
    if kind == "dwi" and scanner == "philips":
        own["ScanningSequence"] = "SE"
    return own


def _affine(grid: _Grid, patient: Patient) -> Array:
    """Centre the grid on the gland; axial and coronal slices are tilted about the left-right axis."""
    sagittal = grid.directions[0] == 0.0
    tilt = rotation((0.0 if sagittal else patient.tilt_degrees, 0.0, 0.0))
    row, column = tilt @ grid.directions[:3], tilt @ grid.directions[3:]
    directions = np.concatenate([row, column])
    step = np.cross(row, column) * grid.step_mm
    around_origin = plane_affine((0, 0, 0), directions, (grid.pixel_mm, grid.pixel_mm), step)
    middle = around_origin[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return plane_affine(np.array(patient.isocentre) - middle, directions, (grid.pixel_mm, grid.pixel_mm), step)
