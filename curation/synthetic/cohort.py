"""A cohort of synthetic patients on disk, with what is true of them beside the images."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curation.errors import OutputExistsError
from curation.files import sync_folder, sync_tree
from curation.segmentation import Segment, write_seg
from curation.study import read_study
from curation.synthetic.dicom import clock, make_uid, write_series
from curation.synthetic.patients import Patient, draw_patient
from curation.synthetic.protocol import B_VALUES, SeriesPlan, plans
from curation.synthetic.scan import Measured, lesion_mask, measure
from curation.synthetic.tissues import Tissue, adc_of

Progress = Callable[[int, int], None]
"""Called with the number of patients done and of all patients."""

TRUTH_CONVENTION = (
    "Positions are LPS mm. transforms holds one 4 x 4 matrix per volume that maps a point seen in that volume "
    "to where it lies in the first volume of its series; the first is the identity. The surfaces of all organs "
    "deviate from the given radii by up to 2.3 mm along each axis. ADC is in 10^-6 mm2/s."
)


@dataclass(frozen=True)
class SyntheticStudy:
    """Where one study was written.

    Parameters
    ----------
    patient_id : str
    folder : Path
        Holds the DICOM files, one folder per series.
    truth : Path
        JSON file beside the folder; its own text ``convention`` explains it.
    lesion : bool
        Whether there is a lesion, and with it a DICOM SEG.
    """

    patient_id: str
    folder: Path
    truth: Path
    lesion: bool


def write_cohort(
    folder: Path, *, patients: int = 4, seed: int = 0, progress: Progress | None = None
) -> list[SyntheticStudy]:
    """Write synthetic prostate MRI studies: T2w in three planes, DWI, ADC, DCE and a lesion's mask.

    The same seed gives identical bytes; patient n does not depend on how many there are. The layout is
    ``<patient>/<study>/<series>/*.dcm`` with ``<patient>/<study>.truth.json``.

    Parameters
    ----------
    folder : Path
        Made if there is none.
    patients : int
        At least 1.
    seed : int
        At least 0.
    progress : callable, optional
        Called with the number of patients done and of all patients.

    Returns
    -------
    list of SyntheticStudy

    Raises
    ------
    OutputExistsError
        If the folder of one of the patients is already there; nothing is written then.
    ValueError
        If `patients` or `seed` is too small.
    """
    if patients < 1 or seed < 0:
        raise ValueError(f"A cohort has at least 1 patient and a seed of at least 0; got {patients} and {seed}.")
    drawn = [draw_patient(seed, number) for number in range(1, patients + 1)]
    taken = [patient.patient_id for patient in drawn if (folder / patient.patient_id).exists()]
    if taken:
        raise OutputExistsError(
            f"{folder} already holds {', '.join(taken)}. Give another folder, or remove these first."
        )
    folder.mkdir(parents=True, exist_ok=True)
    studies = []
    for done, patient in enumerate(drawn, start=1):
        studies.append(write_patient(folder, patient))
        if progress is not None:
            progress(done, patients)
    return studies


def write_patient(folder: Path, patient: Patient) -> SyntheticStudy:
    """Write one patient; the patient's folder appears when it is complete.

    Parameters
    ----------
    folder : Path
        Of the cohort; must exist.
    patient : Patient

    Returns
    -------
    SyntheticStudy
    """
    target = folder / patient.patient_id
    name = patient.date.isoformat()
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{patient.patient_id}."))
    try:
        study = temporary / name
        study.mkdir()
        truth = _write_study(study, patient)
        text = json.dumps(truth, indent=1) + "\n"
        (temporary / f"{name}.truth.json").write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        sync_tree(temporary)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder)
    return SyntheticStudy(patient.patient_id, target / name, target / f"{name}.truth.json", patient.lesion is not None)


def _write_study(study: Path, patient: Patient) -> dict[str, Any]:
    series = []
    truth = _truth(patient)
    for plan in plans(patient):
        volumes = measure(patient, plan)
        uids = write_series(patient, plan, volumes, study)
        series.append(_series_truth(plan, volumes, uids))
        if plan.kind == "t2-axial" and patient.lesion is not None:
            truth["lesion"].update(_write_lesion(study, patient, plan))
    return {**truth, "series": series}


def _truth(patient: Patient) -> dict[str, Any]:
    lesion = patient.lesion
    return {
        "convention": TRUTH_CONVENTION,
        "patient_id": patient.patient_id,
        "seed": patient.seed,
        "scanner": patient.scanner,
        "study_instance_uid": make_uid(patient, "study"),
        "prostate": {"centre_mm": list(patient.isocentre), "radii_mm": list(patient.gland_radii)},
        "lesion": None
        if lesion is None
        else {
            "zone": lesion.zone,
            "centre_mm": [a + b for a, b in zip(patient.isocentre, lesion.centre, strict=True)],
            "radii_mm": list(lesion.radii),
            "turn_degrees": lesion.turn_degrees,
            "adc": adc_of(Tissue.LESION),
        },
        "adc": {tissue.name.lower(): adc_of(tissue) for tissue in Tissue},
    }


def _series_truth(plan: SeriesPlan, volumes: list[Measured], uids: list[str]) -> dict[str, Any]:
    return {
        "kind": plan.kind,
        "series_instance_uids": list(dict.fromkeys(uids)),
        "b_values": list(B_VALUES) if plan.kind == "dwi" else None,
        "transforms": [volume.transform.tolist() for volume in volumes],
    }


def _write_lesion(study: Path, patient: Patient, plan: SeriesPlan) -> dict[str, Any]:
    """Write the mask of the lesion on the axial T2w series and return what is true of it."""
    mask = lesion_mask(patient, plan)
    if mask is None or not mask.any():
        raise ValueError(f"The lesion of {patient.patient_id} lies outside the axial T2w series.")
    source = read_study(study / f"{plan.number:03d}-{plan.kind}").series[0]
    folder = study / f"{1000 + plan.number}-segmentation"
    folder.mkdir()
    write_seg(
        folder / "0001.dcm",
        [Segment("Lesion 1", mask)],
        source,
        description="Lesion on axial T2w",
        creator="Synthetic^Reader",
        created=clock(patient, 7200),
        uid=lambda purpose: make_uid(patient, "segmentation", purpose),
    )
    element = float(abs(np.linalg.det(plan.affine[:3, :3])))
    return {"voxels": int(mask.sum()), "volume_mm3": float(mask.sum() * element)}
