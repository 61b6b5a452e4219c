"""Encoding many files that differ in few elements: what they share is encoded once.

In Explicit VR Little Endian (PS3.5 A.2) a data set is the plain succession of its elements in the order of their
tags, so that encoded runs of elements can be joined.
"""

from __future__ import annotations

import struct
from bisect import bisect

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID, ExplicitVRLittleEndian

_PREAMBLE = bytes(128) + b"DICM"
_VARYING = tuple(
    sorted(Tag(keyword) for keyword in ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation"))
)
"""Elements in which the slices of a volume differ, besides the pixels."""


class VolumeTemplate:
    """What the files of one volume share, encoded.

    Parameters
    ----------
    shared : Dataset
        All elements but those of `encode`; with SOP Class UID and Specific Character Set.
    """

    def __init__(self, shared: Dataset) -> None:
        self._sop_class = UID(str(shared.SOPClassUID))
        parts = [Dataset() for _ in range(len(_VARYING) + 1)]
        for element in shared:
            parts[bisect(_VARYING, element.tag)].add(element)
        self._runs = [encode_elements(part, str(shared.SpecificCharacterSet)) for part in parts]

    def encode(self, own: Dataset, pixels: bytes) -> bytes:
        """Return one file.

        Parameters
        ----------
        own : Dataset
            SOP Instance UID, Instance Number, Image Position (Patient) and Slice Location.
        pixels : bytes
            16-bit integers, little endian.
        """
        pieces = [_PREAMBLE, _file_meta(self._sop_class, UID(str(own.SOPInstanceUID))), self._runs[0]]
        for tag, run in zip(_VARYING, self._runs[1:], strict=True):
            single = Dataset()
            single.add(own[tag])
            pieces += [encode_elements(single, ""), run]
        pieces.append(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, len(pixels)))
        return b"".join((*pieces, pixels))


def encode_elements(dataset: Dataset, character_set: str) -> bytes:
    """Return the elements of a dataset in Explicit VR Little Endian, texts in a character set."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset, character_set)
    return buffer.getvalue()


def encode_file(dataset: Dataset) -> bytes:
    """Return a whole file of an object without pixels."""
    meta = _file_meta(UID(str(dataset.SOPClassUID)), UID(str(dataset.SOPInstanceUID)))
    return _PREAMBLE + meta + encode_elements(dataset, str(dataset.SpecificCharacterSet))


def _file_meta(sop_class: UID, uid: UID) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()
