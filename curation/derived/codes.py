"""Coded concepts of derived objects, from PS3.16."""

from __future__ import annotations

from pydicom.dataset import Dataset


def concept(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a code sequence item (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


# What was done to the pixels: CID 7203, which may be extended.
SPATIAL_RESAMPLING = ("113085", "DCM", "Spatial resampling")
DIFFUSION_ANALYSIS = ("129105", "DCM", "Diffusion image analysis")
APPARENT_DIFFUSION_COEFFICIENT = ("113041", "DCM", "Apparent Diffusion Coefficient")

# By what images were aligned: CID 7100.
FRAME_OF_REFERENCE_IDENTITY = ("125021", "DCM", "Frame of Reference Identity")
ACQUISITION_EQUIPMENT_ALIGNMENT = ("125023", "DCM", "Acquisition Equipment Alignment")
CONTENT_BASED_ALIGNMENT = ("125024", "DCM", "Image Content-based Alignment")

# Why another image is named: CID 7202 for sources, CID 7201 for the rest.
SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")
ANATOMIC_IMAGE = ("121338", "DCM", "Anatomic image")

# Which equipment contributed: CID 7005.
ACQUISITION_EQUIPMENT = ("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = ("109102", "DCM", "Processing Equipment")

QUANTITY = ("246205007", "SCT", "Quantity")
