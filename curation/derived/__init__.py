"""Derived DICOM: what curation computed, as a new series that says what it was made from and how."""

from curation.derived.provenance import Provenance, read_provenance
from curation.derived.registration_object import RegisteredImages, SpatialRegistration, read_registration
from curation.derived.writer import write_derived

__all__ = [
    "Provenance",
    "RegisteredImages",
    "SpatialRegistration",
    "read_provenance",
    "read_registration",
    "write_derived",
]
