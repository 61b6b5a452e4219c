"""Data sets as the reader sees them: encoded, then walked."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from curation.reading.elements import Budget, Coding, walk
from curation.reading.enhanced import raw
from curation.reading.headers import HEADER_TAGS
from curation.reading.values import Values


def values_of(dataset: Dataset, *, explicit: bool = True) -> Values:
    """Return the values of a data set that has been encoded."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, not explicit
    write_dataset(buffer, dataset)
    data = buffer.getvalue()
    coding = Coding(explicit)
    found = walk(data, 0, len(data), HEADER_TAGS, coding, Budget()).found
    return Values({tag: raw(data, element, coding) for tag, element in found.items()})
