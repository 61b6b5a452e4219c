"""Roles from headers, without and with descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from curation.reading.headers import slice_header
from curation.reading.roles import Evidence, role_of
from curation.series import Role
from tests.curation.reading.encoded import values_of

T2: dict[str, Any] = {"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 100, "FlipAngle": 150}
SPOILED: dict[str, Any] = {"ScanningSequence": "GR", "RepetitionTime": 4, "EchoTime": 1.5, "FlipAngle": 12}
EPI: dict[str, Any] = {"ScanningSequence": "EP", "RepetitionTime": 3000, "EchoTime": 65, "FlipAngle": 90}


def evidence(volumes: int = 1, **values: Any) -> Evidence:
    dataset = Dataset()
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.SOPInstanceUID = "2.25.1"
    dataset.Modality = "MR"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Evidence((slice_header(values_of(dataset), Path("a.dcm")),), "axial", volumes)


@pytest.mark.parametrize(
    ("role", "found"),
    [
        ("t2w", evidence(**T2)),
        ("t2w", evidence(**T2, DiffusionBValue=0.0)),
        ("pd", evidence(**{**T2, "EchoTime": 20})),
        ("t1w", evidence(**{**T2, "EchoTime": 10, "RepetitionTime": 600})),
        ("t1w", evidence(**SPOILED)),
        ("dce", evidence(3, **SPOILED)),
        ("dce", evidence(2, **SPOILED, ContrastBolusAgent="Gadolinium")),
        ("pd", evidence(**{**SPOILED, "RepetitionTime": 800, "FlipAngle": 14})),
        ("dwi", evidence(3, **EPI, DiffusionBValue=50.0)),
        ("dwi", evidence(**EPI, ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"])),
        ("adc", evidence(**EPI, DiffusionBValue=800.0, ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"])),
        ("localizer", evidence(**SPOILED, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
        ("t2w", evidence(**{**T2, "ScanningSequence": ""})),
        ("t1w", evidence(**{**SPOILED, "ScanningSequence": ""})),
        ("dce", evidence(3, **{**SPOILED, "ScanningSequence": ""})),
        ("other", evidence(**{**EPI, "ScanningSequence": ""})),
        ("adc", evidence(SeriesDescription="dADC map")),
        ("t2w", evidence(SeriesDescription="t2_tse_tra")),
        ("other", evidence(SeriesDescription="T2* map")),
        ("other", evidence(**{**T2, "Modality": "CT"})),
        ("other", evidence()),
    ],
)
def test_role_follows_from_the_header(role: Role, found: Evidence) -> None:
    """Image Type, b-value, contrast and timing come before the description."""
    assert role_of(found) == role


@pytest.mark.parametrize(("name", "role"), [("*ep_b50_800", "calculated-b"), ("*ep_b1400t", "dwi")])
def test_a_b_value_that_was_not_acquired_is_calculated(name: str, role: Role) -> None:
    """Siemens names the acquired b-values in Sequence Name."""
    image_type = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
    assert role_of(evidence(**EPI, DiffusionBValue=1400.0, SequenceName=name, ImageType=image_type)) == role
