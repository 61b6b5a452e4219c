"""The Spatial Registration that accompanies a result."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from curation.derived import attributes, provenance, references
from curation.derived.cleaning import character_set, clean_text
from curation.derived.image import frame_of_reference
from curation.derived.plan import REGISTRATION_NUMBER_OFFSET, Plan
from curation.derived.registration_object import registration_item, registration_module
from curation.derived.scaling import Staged
from curation.geometry import Array


def registration_dataset(plan: Plan, staged: Staged) -> Dataset:
    """Return the Spatial Registration of a result with transforms.

    Its registered coordinate system is the result's. One item per source volume; before them the static series,
    where there is one, which stays where it is.

    Parameters
    ----------
    plan : Plan
    staged : Staged

    Returns
    -------
    Dataset
    """
    derivation, header = plan.derivation, plan.source.header
    dataset = Dataset()
    dataset.update(attributes.patient_and_study(header, plan.source.study_uid))
    dataset.update(attributes.equipment(header, derivation))
    description = f"Registration: {derivation.description}"
    number = plan.series_number + REGISTRATION_NUMBER_OFFSET
    series_uid = plan.make_uid("registration series")
    dataset.update(attributes.series_and_dates(header, "REG", series_uid, number, description, plan.moment))
    registered = frame_of_reference(plan, staged)
    dataset.update(registration_module(_items(plan, registered), registered, clean_text(description)))
    dataset.SOPInstanceUID = plan.make_uid("registration")
    used = (*plan.source.instances, *(plan.static.instances if plan.static is not None else ()))
    dataset.update(references.common_references(str(dataset.StudyInstanceUID), used, plan.others))
    dataset.update(provenance.series_block(derivation, plan.source))
    dataset.SpecificCharacterSet = character_set(header, [dataset])
    return dataset


def _items(plan: Plan, registered: str) -> list[Dataset]:
    items = []
    if plan.static is not None:
        items.append(registration_item(plan.static.instances, np.eye(4), registered, "Static series", same_frame=True))
    matrices = _by_source_volume(plan)
    own = plan.derivation.source.frame_of_reference_uid
    alike = all(np.array_equal(matrix, next(iter(matrices.values()))) for matrix in matrices.values())
    # A frame of reference is named only where the matrix holds for everything in it: not where its volumes
    # moved differently, and not where it is the registered one and the images moved in it.
    whole = own if alike and (own != registered or not attributes.moved(next(iter(matrices.values())))) else ""
    for number, matrix in sorted(matrices.items()):
        instances = plan.source.volumes[number].instances
        items.append(
            registration_item(instances, matrix, whole, f"Volume {number + 1} of the source", own == registered)
        )
    return items


def _by_source_volume(plan: Plan) -> dict[int, Array]:
    """Return the matrix of each source volume that was used."""
    matrices: dict[int, Array] = {}
    for part in plan.parts:
        if part.transforms is not None:
            for number, matrix in zip(part.numbers, part.transforms, strict=True):
                matrices.setdefault(number, matrix)
    return matrices
