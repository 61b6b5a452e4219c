"""Masks as DICOM SEG: reading, writing, and the codes that say what a segment is."""

from __future__ import annotations

from curation.segmentation.decode import read_seg, segmentations
from curation.segmentation.encode import write_seg
from curation.segmentation.segment import Algorithm, Segment, Segmentation

__all__ = ["Algorithm", "Segment", "Segmentation", "read_seg", "segmentations", "write_seg"]
