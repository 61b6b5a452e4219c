"""Cancer images in, better images and masks out.

The names below are loaded when they are first used, so that ``import curation`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.dataset import Dataset, datasets
    from curation.errors import CurationError
    from curation.pictures import Picture, show_diffusion, show_slices
    from curation.problems import Problem
    from curation.series import Series
    from curation.study import Study, read_studies, read_study
    from curation.tables import dataset_table, series_table
    from curation.volume import Volume

_HOMES = {
    "CurationError": "errors",
    "Dataset": "dataset",
    "Picture": "pictures",
    "Problem": "problems",
    "Series": "series",
    "Study": "study",
    "Volume": "volume",
    "dataset_table": "tables",
    "datasets": "dataset",
    "read_studies": "study",
    "read_study": "study",
    "series_table": "tables",
    "show_diffusion": "pictures",
    "show_slices": "pictures",
}

__all__ = [
    "CurationError",
    "Dataset",
    "Picture",
    "Problem",
    "Series",
    "Study",
    "Volume",
    "dataset_table",
    "datasets",
    "read_studies",
    "read_study",
    "series_table",
    "show_diffusion",
    "show_slices",
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
