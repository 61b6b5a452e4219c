"""Every error that `curation` raises on purpose, in one tree.

::

    CurationError
    ├── SourceError                  what was given cannot be read as DICOM
    │   ├── MissingDataError         nothing there, or nothing in it is DICOM
    │   ├── UnsupportedSourceError   a kind of source that is not read
    │   └── SeveralStudiesError      one study was asked for and several are there
    ├── SeriesError                  one series cannot give what was asked
    │   ├── IrregularSeriesError     its images do not form regular volumes
    │   ├── VolumeIndexError         it has no volume of that number
    │   └── PixelDataError           its pixel data cannot be read
    ├── GeometryError                positions, directions or grids that do not fit
    ├── RegistrationError            a registration that cannot be computed from what was given
    ├── ParameterError               registration parameters that are malformed or not honoured by the engine
    ├── DerivedError                 a derived series that cannot be written as asked
    ├── ResultStoreError             a folder of results that is in use, or whose list cannot be read
    ├── SegmentationError            masks or segment descriptions that do not fit
    ├── DatasetError                 no dataset, or a list of datasets that makes no sense
    ├── OutputExistsError            something is already where a result should go
    └── MissingDependencyError       an optional package is not installed

A message says what was expected, what came and what to do about it.
"""

from __future__ import annotations


class CurationError(Exception):
    """Root of all errors of this package."""


class SourceError(CurationError):
    """What was given cannot be read as DICOM."""


class MissingDataError(SourceError, FileNotFoundError):
    """There is nothing at the place given, or nothing in it is DICOM."""

    # FileNotFoundError takes its text from errno and file name; ours is one sentence.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnsupportedSourceError(SourceError, ValueError):
    """The kind of source given is not read."""


class SeveralStudiesError(SourceError, ValueError):
    """One study was asked for and several are there."""


class SeriesError(CurationError):
    """One series cannot give what was asked of it."""


class IrregularSeriesError(SeriesError, ValueError):
    """The images of a series do not form regular volumes."""


class VolumeIndexError(SeriesError, IndexError):
    """A series has no volume of the number asked for."""


class PixelDataError(SeriesError, ValueError):
    """The pixel data of an image cannot be read."""


class GeometryError(CurationError, ValueError):
    """Positions, directions or grids do not fit."""


class RegistrationError(CurationError, ValueError):
    """A registration cannot be computed from what was given."""


class ParameterError(CurationError, ValueError):
    """Registration parameters are malformed, or the engine does not honour one of them."""


class DerivedError(CurationError, ValueError):
    """A derived series cannot be written as asked."""


class ResultStoreError(CurationError):
    """A folder of results is in use, or its list cannot be read."""


class SegmentationError(CurationError, ValueError):
    """Masks or the description of segments do not fit."""


class DatasetError(CurationError):
    """There is no dataset, or the list of datasets makes no sense."""


class OutputExistsError(CurationError, FileExistsError):
    """Something is already where a result should go."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingDependencyError(CurationError, ImportError):
    """An optional package is not installed."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""
