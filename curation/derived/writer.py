"""Writing a result of curation as a new DICOM series (PS3.3 A.4) with its registration (PS3.3 A.39.1)."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from curation.derivation import Derivation
from curation.derived.encoding import VolumeTemplate, encode_file
from curation.derived.grid import decimals, slice_locations, slice_positions
from curation.derived.image import series_dataset, volume_dataset
from curation.derived.plan import MakeUid, Plan, make_plan
from curation.derived.registration import registration_dataset
from curation.derived.scaling import Scale, Staged, choose_scale, stage
from curation.errors import CurationError, DerivedError, OutputExistsError
from curation.files import sync_folder, sync_tree

Progress = Callable[[int, int], None]
"""Called with the number of steps done and of all steps; a step is computing or writing one volume."""

REGISTRATION_FILE = "registration.dcm"


def write_derived(
    result: Derivation | Any,
    folder: str | os.PathLike[str],
    *,
    series_number: int | None = None,
    now: datetime.datetime | None = None,
    with_registration: bool = True,
    progress: Progress | None = None,
    uid: MakeUid | None = None,
) -> list[Path]:
    """Write a result as a new series of classic MR images, one file per slice and volume.

    The files appear together, in a new folder below `folder` that is named after the description and the new Series
    Instance UID: they are written to a hidden folder beside it, flushed to disk and renamed. Whatever ends the
    process leaves nothing there that a reader of studies takes for a series.

    Volumes are read once each, and computed when they are read; one is in memory at a time. Values are stored as
    16-bit integers with one Rescale Slope and Intercept for the series: unchanged where all are whole and fit, else
    in steps of (largest - smallest) / 65535.

    Parameters
    ----------
    result : Derivation, or an object with an attribute ``derivation`` that is one
        What `motion_correct`, `coregister` and the ADC fit give.
    folder : path
        Where the new folder goes; made if there is none.
    series_number : int, optional
        By default that of the source plus 2000 (motion correction), 3000 (co-registration) or 4000 (ADC). The
        registration's is 5000 higher.
    now : datetime, optional
        When the objects were made; now by default.
    with_registration : bool
        Whether to write a Spatial Registration where the result has transforms.
    progress : callable, optional
        Called with the number of steps done and of all steps.
    uid : callable, optional
        Gives the identifier for a purpose (``series``, ``instance 1``, ``registration`` ...); random by default.

    Returns
    -------
    list of Path
        The images in order of Instance Number, then the registration where there is one.

    Raises
    ------
    DerivedError
        If the result cannot be written: parts that do not fit, values that are not finite, a sheared grid, a
        modality other than MR, or the folder cannot be written (no space, no right).
    MissingDataError
        If a file of the source is gone.
    OutputExistsError
        If the new folder is already there.
    """
    plan = make_plan(result, series_number, now, uid)
    parent = Path(folder)
    with _written_in_one(parent, plan.folder_name) as place:
        steps = _Steps(2 * len(plan.parts), progress)
        values = place / "values"
        values.mkdir()
        staged = stage(plan.derivation.volumes, values, steps.done)
        names = _write_images(plan, staged, place, steps)
        shutil.rmtree(values)
        if with_registration and plan.derivation.transforms is not None:
            (place / REGISTRATION_FILE).write_bytes(encode_file(registration_dataset(plan, staged)))
            names.append(REGISTRATION_FILE)
    return [parent / plan.folder_name / name for name in names]


class _Steps:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._count = total, progress, 0

    def done(self) -> None:
        self._count += 1
        if self._progress is not None:
            self._progress(self._count, self._total)


@contextmanager
def _written_in_one(parent: Path, name: str) -> Iterator[Path]:
    """Give a hidden folder that becomes `parent` / `name` when all went well and vanishes otherwise."""
    target = parent / name
    if target.exists():
        raise OutputExistsError(f"{target} already exists and is not overwritten. Move it, or write elsewhere.")
    temporary: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=f".{name}."))
        yield temporary
        temporary.chmod(0o755)
        sync_tree(temporary)
        temporary.rename(target)
        temporary = None
        sync_folder(parent)
    except CurationError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise DerivedError(f"The result cannot be written to {target}: {reason}. Nothing was left there.") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_images(plan: Plan, staged: Staged, place: Path, steps: _Steps) -> list[str]:
    scale = choose_scale(staged)
    common = series_dataset(plan, staged, scale)
    total = len(plan.parts) * staged.shape[0]
    width = max(4, len(str(total)))
    names: list[str] = []
    for k in range(len(plan.parts)):
        template = VolumeTemplate(volume_dataset(plan, staged, common, k))
        values = staged.values(k)
        for z, own in enumerate(_slice_datasets(plan, staged, first=k * staged.shape[0] + 1)):
            names.append(f"{own.InstanceNumber:0{width}d}.dcm")
            (place / names[-1]).write_bytes(template.encode(own, _pixels(values[z], scale)))
        steps.done()
    return names


def _pixels(values: np.ndarray[Any, np.dtype[np.float32]], scale: Scale) -> bytes:
    return scale.stored(values).tobytes()


def _slice_datasets(plan: Plan, staged: Staged, first: int) -> Iterator[Dataset]:
    """Yield what each slice of a volume has of its own."""
    slices = staged.shape[0]
    locations = decimals(slice_locations(staged.affine, slices))
    for z, position in enumerate(slice_positions(staged.affine, slices)):
        own = Dataset()
        own.SOPInstanceUID = plan.make_uid(f"instance {first + z}")
        own.InstanceNumber = first + z
        own.ImagePositionPatient = decimals(position)
        own.SliceLocation = locations[z]
        yield own
