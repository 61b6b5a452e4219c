"""Naming other objects: what was computed from what (PS3.3 C.7.6.1.1.4, C.12.2, 10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from curation.derived.codes import ANATOMIC_IMAGE, SOURCE_IMAGE, concept
from curation.derived.sources import Instance

Preserved = Literal["YES", "NO"]


def reference(instance: Instance) -> Dataset:
    """Return an item that names one object (PS3.3 10.8, SOP Instance Reference)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.sop_class_uid, instance.uid
    return item


def source_images(instances: Iterable[Instance], preserved: Preserved) -> Items:
    """Return the Source Image Sequence.

    Parameters
    ----------
    instances : iterable of Instance
        All slices of the source volumes: interpolation mixes neighbours.
    preserved : str
        Whether elements lie where they lay in the source (Spatial Locations Preserved).
    """
    items = []
    for instance in instances:
        item = reference(instance)
        item.SpatialLocationsPreserved = preserved
        item.PurposeOfReferenceCodeSequence = [concept(*SOURCE_IMAGE)]
        items.append(item)
    return Items(items)


def static_images(instances: Iterable[Instance]) -> Items:
    """Return the Referenced Image Sequence: the images of the series that was aligned to."""
    items = []
    for instance in instances:
        item = reference(instance)
        item.PurposeOfReferenceCodeSequence = [concept(*ANATOMIC_IMAGE)]
        items.append(item)
    return Items(items)


def common_references(study_uid: str, used: Sequence[Instance], others: Sequence[Instance]) -> Dataset:
    """Return the Common Instance Reference module (PS3.3 C.12.2).

    Parameters
    ----------
    study_uid : str
        Of the object that refers.
    used : sequence of Instance
        All objects that it names elsewhere.
    others : sequence of Instance
        Of the other series that it depends on. Of a series of which no object is named one stands for all:
        a dynamic acquisition of a hundred series would otherwise fill every file with references.

    Returns
    -------
    Dataset
        Referenced Series Sequence; series of other studies in Studies Containing Other Referenced Instances.
    """
    by_study: dict[str, dict[str, list[Instance]]] = {}
    for instance in dict.fromkeys(used):
        by_study.setdefault(instance.study_uid, {}).setdefault(instance.series_uid, []).append(instance)
    for instance in others:
        by_study.setdefault(instance.study_uid, {}).setdefault(instance.series_uid, [instance])
    module = Dataset()
    if study_uid in by_study:
        module.ReferencedSeriesSequence = _series_items(by_study.pop(study_uid))
    if by_study:
        module.StudiesContainingOtherReferencedInstancesSequence = Items(
            [_study_item(uid, series) for uid, series in by_study.items()]
        )
    return module


def _study_item(uid: str, series: dict[str, list[Instance]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = uid
    item.ReferencedSeriesSequence = _series_items(series)
    return item


def _series_items(series: dict[str, list[Instance]]) -> Items:
    items = []
    for uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = [reference(instance) for instance in instances]
        items.append(item)
    return Items(items)
