"""Every kind of object that is written keeps the standard and agrees with its study."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from curation import Series, Study, read_study
from curation.derived import write_derived
from curation.synthetic import SyntheticStudy
from tests.curation.conformance import contradictions, errors_of
from tests.curation.conftest import MakeSeries
from tests.curation.derived.results import UNIT, adc, coregistered, motion_corrected

HOSTILE = {
    "PatientName": ("LO", "Müller\\-Lüdenscheidt^Jürgen" + "x" * 80),
    "PatientID": ("LO", "A\\B\x07" + "9" * 90),
    "PatientSex": ("LO", "männlich"),
    "PatientAge": ("LO", "063"),
    "PatientWeight": ("LO", "78.123456789012345678"),
    "PatientBirthDate": ("LO", "1950-13-45"),
    "StudyDescription": ("LO", "ß" * 200),
    "StudyTime": ("LO", "25:99"),
    "StudyID": ("LO", "an identifier that is far too long"),
    "AccessionNumber": ("ST", "1\\2"),
    "BodyPartExamined": ("LO", "prostaat & blaas (groot)"),
    "ScanningSequence": ("LO", "SE\\nonsense"),
    "SequenceVariant": ("LO", "???"),
    "ScanOptions": ("LO", "a b c d e f g h i j k l m"),
    "MRAcquisitionType": ("LO", "4D"),
    "RepetitionTime": ("LO", "many"),
    "EchoTime": ("LO", "100.000000000000000001"),
    "FlipAngle": ("LO", "nan"),
    "PatientPosition": ("LO", "standing"),
    "Manufacturer": ("LO", "\\".join("abc")),
    "SoftwareVersions": ("LO", "v" * 300),
    "PatientIdentityRemoved": ("LO", "YES"),
    "ContrastBolusAgent": ("LO", "Gd\\DOTA"),
    "DeidentificationMethodCodeSequence": ("LO", "no sequence at all"),
    "ImageType": ("LO", "ORIGINAL\\PRIMARY\\m/x\\too long to be a code string"),
}
"""Attributes with what they must not hold, in a wrong value representation."""


def check(paths: Iterable[Path]) -> None:
    """Expect no error in any file."""
    found = {path.name: errors for path in paths if (errors := errors_of(path))}
    assert found == {}


def ends(paths: list[Path]) -> list[Path]:
    """First and last image and what follows the images."""
    return [paths[0], *paths[-2:]]


@pytest.fixture(scope="module")
def study(cohort: list[SyntheticStudy]) -> Study:
    return read_study(cohort[0].folder)


def results(study: Study, folder: Path) -> list[Path]:
    """Write a result of each kind and check each kind of file."""
    series, static = study.with_role("dwi")[0], study.default_static
    assert static is not None
    derivations = (motion_corrected(series), coregistered(series, static), adc(series, related=(static,)))
    files = [write_derived(derivation, folder) for derivation in derivations]
    for paths in files:
        check(ends(paths))
    return [path for paths in files for path in paths]


def test_synthetic_study(study: Study, cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """No error in any kind of file, and none between the results and the study."""
    paths = results(study, tmp_path)
    assert contradictions([*cohort[0].folder.rglob("*.dcm"), *paths]) == []


def test_dynamic_series_of_many_series(study: Study, tmp_path: Path) -> None:
    """Of the source's other time points each file names one image, of its own all."""
    series = study.with_role("dce")[0]
    paths = write_derived(motion_corrected(series), tmp_path)
    check(ends(paths))
    assert contradictions([*series.paths, *paths]) == []
    sizes = [len(item.ReferencedInstanceSequence) for item in pydicom.dcmread(paths[0]).ReferencedSeriesSequence]
    assert sorted(sizes) == [1] * (series.n_volumes - 1) + [series.shape[1]]


def test_real_study(real_data: Path, tmp_path: Path) -> None:
    """No error in what is written, and none between it and the study but what the study has by itself."""
    folder = real_data / "prostatex" / "ProstateX-0000"
    paths = results(read_study(folder), tmp_path)
    originals = list(folder.rglob("*.dcm"))
    before, after = contradictions(originals), contradictions([*originals, *paths])
    assert len(after) == len(before)
    assert not [line for line in after if str(tmp_path) in line]


def damage(path: Path) -> None:
    """Put hostile values into the header of a file."""
    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ContributingEquipmentSequence = [Dataset()]
    with pydicom.config.disable_value_validation():
        for keyword, (vr, value) in HOSTILE.items():
            dataset.add_new(keyword, vr, value)
        dataset.save_as(path)
    path.write_bytes(path.read_bytes().replace(b"\xfe\xff\x00\xe0", b"item"))  # of the sequence


def test_hostile_source(make_series: MakeSeries, tmp_path: Path) -> None:
    """Values that are too long, of a wrong type or nonsense are mended or left out."""
    files = make_series(4)
    for path in files:
        damage(path)
    series = read_study(files).series[0]
    derivation = motion_corrected(
        series, description="Ünïcode\\ text\x00 of more than sixty-four characters, which is too long by far",
        engine="\\" * 100, engine_version="", notes=("é" * 3000,),
    )  # fmt: skip
    paths = write_derived(derivation, tmp_path / "out")
    check(paths)
    header = pydicom.dcmread(paths[0])
    assert str(header.PatientName).startswith("Müller -Lüdenscheidt^Jürgen")
    assert header.PatientID.startswith("A B")
    assert header.PatientSex == ""
    assert header.ScanningSequence == "SE"
    assert list(header.ImageType) == ["DERIVED", "PRIMARY", "OTHER", "RESAMPLED"]
    assert header.ContributingEquipmentSequence[0].Manufacturer == "a b c"


def test_names_in_another_character_set_agree(make_series: MakeSeries, tmp_path: Path) -> None:
    """A name in Latin-1 in the source is the same name in the result."""

    def name(dataset: Dataset, _: int) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller^Jürgen"

    series = read_study(make_series(3, name)[0].parent).series[0]
    paths = write_derived(motion_corrected(series), tmp_path / "out")
    check(paths)
    assert contradictions([*series.paths, *paths]) == []
    assert str(pydicom.dcmread(paths[0]).PatientName) == "Müller^Jürgen"


def bare(dataset: Dataset, _: int) -> None:
    """Leave only what a reader needs."""
    for keyword in ("PatientName", "ScanningSequence", "RepetitionTime", "EchoTime", "FlipAngle", "SliceThickness",
                    "FrameOfReferenceUID", "AcquisitionTime", "AcquisitionDate"):  # fmt: skip
        del dataset[keyword]
    dataset.SpacingBetweenSlices = 3


def test_bare_source_and_negative_values(make_series: MakeSeries, tmp_path: Path) -> None:
    """Required attributes that the source lacks are there; negative values and small ones are stored."""
    series = read_study(make_series(3, bare)[0].parent).series[0]
    derivation = adc(series, unit=UNIT)
    values = derivation.volumes[0].array * 0 + [-0.25, 0, 0.5, 0.125] * 2
    volume = dataclasses.replace(derivation.volumes[0], array=values.astype("f4"))
    for changed in (derivation, dataclasses.replace(derivation, volumes=[volume])):
        check(write_derived(changed, tmp_path / "out"))


def test_static_of_another_study(make_series: MakeSeries, tmp_path: Path) -> None:
    """References across studies name the other study."""

    def other(dataset: Dataset, _: int) -> None:
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "2.25.91", "2.25.92"

    series: Series = read_study(make_series(3, folder="a")[0].parent).series[0]
    static: Series = read_study(make_series(4, other, folder="b")[0].parent).series[0]
    paths = write_derived(coregistered(series, static), tmp_path / "out")
    check(paths)
    header = pydicom.dcmread(paths[0])
    assert header.StudiesContainingOtherReferencedInstancesSequence[0].StudyInstanceUID == "2.25.91"
    assert header.FrameOfReferenceUID == "2.25.92"
