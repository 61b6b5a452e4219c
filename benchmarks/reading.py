"""Milliseconds from 19 files to a volume, headers per second, and seconds for a study of 1,000 files.

Medians of repeated runs after one warm-up, with warm file caches: what is measured is the reader, not the disk.
`load_ms` runs from a folder with one series of 19 slices of 384 x 384 to its float32 values and geometry, with
pydicom, SimpleITK and dcm2niix doing the same on the same files in the same run, by turns. `headers_per_second` and
`study_seconds` are taken on a folder of 1,000 files of several vendors: all that is needed of every header, and
from the folder to grouped, checked and named series.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from curation import read_study
from curation.reading.dicom_io import scan
from curation.reading.sources import find_files
from curation.synthetic import draw_patient, write_patient

FILES = 1000
ROUNDS = 15
STUDY_ROUNDS = 5
SLICES, SIDE = 19, 384
_REPOSITORY = Path(__file__).parents[1]
_FOLDERS = ("prostatex/ProstateX-0000", "prostatex/ProstateX-0218", "philips_dwi", "ge_dwi")

Load = Callable[[Path], np.ndarray[Any, Any]]


def main() -> None:
    """Measure and print one JSON object."""
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(json.dumps(measure(Path(name))) + "\n")


def measure(folder: Path, files: int = FILES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the figures; everything is written below `folder`."""
    data = real_data()
    series = _one_series(data, folder / "series")
    study = folder / "study"
    study.mkdir()
    build_study(study, _sources(data, folder / "synthetic"), files)
    loads = _loads(series, rounds)
    paths = find_files(study).files
    headers = _median(lambda: scan(paths), STUDY_ROUNDS)
    whole = _median(lambda: read_study(study), STUDY_ROUNDS)
    return {
        "load_ms": round(loads.pop("lightbox") * 1e3, 2),
        "headers_per_second": round(len(paths) / headers),
        "study_seconds": round(whole, 3),
        "files": len(paths),
        "data": "synthetic" if data is None else "real",
        "peers": {
            **{f"{name}_load_ms": round(seconds * 1e3, 2) for name, seconds in loads.items()},
            "pydicom_headers_per_second": round(len(paths) / _median(lambda: _pydicom_headers(paths), 3)),
        },
    }


def real_data() -> Path | None:
    """Return the folder of real DICOM, or None where it is absent."""
    folder = Path(os.environ.get("LIGHTBOX_DATA") or _REPOSITORY.parent / "shared" / "data")
    return folder if (folder / "prostatex").is_dir() else None


def build_study(folder: Path, sources: Iterator[Path], count: int) -> None:
    """Copy files into one study with identifiers of their own; each round over a source makes new series."""
    study, number, seen, series = generate_uid(), 0, set[str](), dict[str, str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sources:
            dataset = pydicom.dcmread(path)
            if str(dataset.SOPInstanceUID) in seen:  # the sources start again
                seen, series = set(), {}
            seen.add(str(dataset.SOPInstanceUID))
            dataset.SeriesInstanceUID = series.setdefault(str(dataset.SeriesInstanceUID), generate_uid())
            dataset.StudyInstanceUID, dataset.PatientID = study, "BENCH"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.save_as(folder / f"{number:05d}.dcm")
            number += 1
            if number == count:
                return


def _sources(data: Path | None, scratch: Path) -> Iterator[Path]:
    """Yield DICOM files again and again."""
    if data is None:
        scratch.mkdir()
        folders = [write_patient(scratch, draw_patient(0, number)).folder for number in (1, 2, 3)]
    else:
        folders = [data / name for name in _FOLDERS]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if _is_dicom(path)]
    while True:
        yield from files


def _is_dicom(path: Path) -> bool:
    return path.is_file() and path.open("rb").read(132)[128:] == b"DICM"


def _one_series(data: Path | None, folder: Path) -> Path:
    """Return a folder with one series of 19 slices of 384 x 384."""
    folder.mkdir()
    if data is not None:
        static = read_study(data / _FOLDERS[0]).default_static
        if static is None:
            raise RuntimeError(f"{data / _FOLDERS[0]} has no axial T2w series")
        for z, path in enumerate(static.paths):
            (folder / f"{z:03d}.dcm").write_bytes(path.read_bytes())
        return folder
    (folder.parent / "one").mkdir()
    study = read_study(write_patient(folder.parent / "one", draw_patient(0, 1)).folder)
    if study.default_static is None:
        raise RuntimeError("the synthetic study has no axial T2w series")
    for z, path in enumerate(islice(study.default_static.paths, SLICES)):
        dataset = pydicom.dcmread(path)
        pixels = np.resize(dataset.pixel_array, (SIDE, SIDE))
        dataset.Rows = dataset.Columns = SIDE
        dataset.PixelData = pixels.astype("<u2").tobytes()
        dataset.save_as(folder / f"{z:03d}.dcm")
    return folder


def _loads(series: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each reader; they take turns, so that all see the same machine."""
    readers: dict[str, Load] = {"lightbox": _lightbox, "pydicom": _pydicom}
    if importlib.util.find_spec("SimpleITK"):
        readers["simpleitk"] = _simpleitk
    if importlib.util.find_spec("dcm2niix"):
        readers["dcm2niix"] = _dcm2niix
    expected = _lightbox(series)
    taken: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(rounds + 1):
        for name, load in readers.items():
            began = time.perf_counter()
            found = load(series)
            seconds = time.perf_counter() - began
            if found.shape != expected.shape or found.sum(dtype=np.float64) != expected.sum(dtype=np.float64):
                raise RuntimeError(f"{name} gives other values")
            if turn:  # the first is the warm-up
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def _lightbox(folder: Path) -> np.ndarray[Any, Any]:
    return read_study(folder).series[0].volume().array


def _pydicom(folder: Path) -> np.ndarray[Any, Any]:
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda dataset: float(dataset.SliceLocation))
    return np.stack([dataset.pixel_array for dataset in slices]).astype(np.float32)


def _simpleitk(folder: Path) -> np.ndarray[Any, Any]:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)
    found: np.ndarray[Any, Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    return found


def _dcm2niix(folder: Path) -> np.ndarray[Any, Any]:
    import dcm2niix
    import nibabel

    with tempfile.TemporaryDirectory() as out:
        command = [dcm2niix.bin, "-b", "n", "-f", "out", "-o", out, str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        image = nibabel.load(Path(out, "out.nii"))
        return np.asarray(image.dataobj, dtype=np.float32).T


def _pydicom_headers(paths: list[Path]) -> None:
    """Read about what a person would ask for, in pydicom's fast way."""
    keywords = [
        "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "SeriesDescription", "ImageType",
        "RepetitionTime", "EchoTime", "AcquisitionTime", "Rows", "Columns", "PixelSpacing", "ImagePositionPatient",
        "ImageOrientationPatient", "SliceThickness", "InstanceNumber",
    ]  # fmt: skip
    for path in paths:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(keywords))
        for keyword in keywords:
            dataset.get(keyword)


def _median(action: Callable[[], object], rounds: int) -> float:
    action()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
