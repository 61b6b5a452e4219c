"""Synthetic prostate MRI as real, valid DICOM, with everything known that a real patient hides.

For demonstrations, tests and teaching; nobody's data. Solids and tissues make the anatomy (`anatomy`,
`shapes`, `tissues`), signal equations the contrast, sampling with partial volume, coil sensitivity and Rician
noise the image (`render`, `scan`), vendors' habits the files (`protocol`, `dicom`).
"""

from __future__ import annotations

from curation.synthetic.cohort import SyntheticStudy, write_cohort, write_patient
from curation.synthetic.patients import Patient, draw_patient

__all__ = ["Patient", "SyntheticStudy", "draw_patient", "write_cohort", "write_patient"]
