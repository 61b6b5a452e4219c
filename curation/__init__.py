"""Cancer images in, better images and masks out.

The names below are loaded when they are first used, so that ``import curation`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.agreement import edge_overlap, nmi
    from curation.comparison import show_adc, show_displacement, show_middle_slices, show_montage, show_overlay
    from curation.dataset import Dataset, datasets
    from curation.derived import Provenance, read_provenance, read_registration, write_derived
    from curation.diffusion import AdcFit, calculated_b, compare_adc, fit_adc, normalise_adc
    from curation.errors import CurationError
    from curation.nifti import read_nifti, write_nifti
    from curation.pictures import Picture, show_diffusion, show_slices
    from curation.problems import Problem
    from curation.quality import image_quality
    from curation.registration.adc import recompute_adc
    from curation.registration.coregister import CoRegistration, coregister
    from curation.registration.motion import MotionCorrection, motion_correct
    from curation.registration.parameters import RegistrationParameters, default_parameters
    from curation.report import AdcReport, SeriesReport, StudyReport, WrittenSeries, write_report
    from curation.series import Series
    from curation.study import Study, read_studies, read_study
    from curation.study_table import table
    from curation.tables import dataset_table, series_table
    from curation.volume import Volume

_HOMES = {
    "AdcFit": "diffusion",
    "AdcReport": "report",
    "CoRegistration": "registration.coregister",
    "CurationError": "errors",
    "Dataset": "dataset",
    "MotionCorrection": "registration.motion",
    "Picture": "pictures",
    "Problem": "problems",
    "Provenance": "derived",
    "RegistrationParameters": "registration.parameters",
    "Series": "series",
    "SeriesReport": "report",
    "Study": "study",
    "StudyReport": "report",
    "Volume": "volume",
    "WrittenSeries": "report",
    "calculated_b": "diffusion",
    "compare_adc": "diffusion",
    "coregister": "registration.coregister",
    "dataset_table": "tables",
    "datasets": "dataset",
    "default_parameters": "registration.parameters",
    "edge_overlap": "agreement",
    "fit_adc": "diffusion",
    "image_quality": "quality",
    "motion_correct": "registration.motion",
    "nmi": "agreement",
    "normalise_adc": "diffusion",
    "read_nifti": "nifti",
    "read_provenance": "derived",
    "read_registration": "derived",
    "read_studies": "study",
    "read_study": "study",
    "recompute_adc": "registration.adc",
    "series_table": "tables",
    "show_adc": "comparison",
    "show_diffusion": "pictures",
    "show_displacement": "comparison",
    "show_middle_slices": "comparison",
    "show_montage": "comparison",
    "show_overlay": "comparison",
    "show_slices": "pictures",
    "table": "study_table",
    "write_derived": "derived",
    "write_nifti": "nifti",
    "write_report": "report",
}

__all__ = [
    "AdcFit",
    "AdcReport",
    "CoRegistration",
    "CurationError",
    "Dataset",
    "MotionCorrection",
    "Picture",
    "Problem",
    "Provenance",
    "RegistrationParameters",
    "Series",
    "SeriesReport",
    "Study",
    "StudyReport",
    "Volume",
    "WrittenSeries",
    "calculated_b",
    "compare_adc",
    "coregister",
    "dataset_table",
    "datasets",
    "default_parameters",
    "edge_overlap",
    "fit_adc",
    "image_quality",
    "motion_correct",
    "nmi",
    "normalise_adc",
    "read_nifti",
    "read_provenance",
    "read_registration",
    "read_studies",
    "read_study",
    "recompute_adc",
    "series_table",
    "show_adc",
    "show_diffusion",
    "show_displacement",
    "show_middle_slices",
    "show_montage",
    "show_overlay",
    "show_slices",
    "table",
    "write_derived",
    "write_nifti",
    "write_report",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'curation' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"curation.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
