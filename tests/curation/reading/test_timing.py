"""The order of volumes and their times; series that are one acquisition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from curation import Series, Study, read_study
from tests.curation.conftest import MakeSeries

SPOILED: dict[str, Any] = {"ScanningSequence": "GR", "RepetitionTime": 4, "EchoTime": 1.5, "FlipAngle": 12}
DIFFUSION: dict[str, Any] = {
    "ScanningSequence": "EP", "RepetitionTime": 3000, "EchoTime": 65, "FlipAngle": 90,
    "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"],
}  # fmt: skip
Change = Callable[[Dataset], None]


def several(make: MakeSeries, values: list[dict[str, Any]], common: dict[str, Any]) -> Study:
    """Write one series for each entry, the later ones with lower Series Numbers, and read them as one study."""
    for k, own in enumerate(values):

        def change(dataset: Dataset, z: int, k: int = k, own: dict[str, Any] = own) -> None:
            dataset.SeriesNumber, dataset.SeriesInstanceUID = 50 - k, f"2.25.{70 + k}"
            for keyword, value in {**common, **own}.items():
                setattr(dataset, keyword, value)
                if value is None:
                    delattr(dataset, keyword)

        folder = make(3, change, f"s{k}")[0].parent.parent
    return read_study(folder)


def codes(series: Series) -> list[str]:
    return [problem.code for problem in series.problems]


UNTIMED = {**SPOILED, "AcquisitionTime": None}


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionTime", ["100009", "100000.5", "100020"]),
        ("TemporalPositionIdentifier", [2, 1, 3]),
        ("TriggerTime", [9000, 0, 18000]),
        ("AcquisitionNumber", [7, 4, 9]),
    ],
)
def test_time_points_are_joined_in_the_order_of_time(make_series: MakeSeries, keyword: str, values: list[Any]) -> None:
    """By the first attribute of time that there is, never by Series Number; a time that is not known is None."""
    study = several(make_series, [{keyword: value} for value in values], {**UNTIMED, keyword: None})
    (series,) = study.series
    assert (series.role, series.n_volumes) == ("dce", 3)
    assert [path.parent.name for path in series.paths[::3]] == ["s1", "s0", "s2"]
    known = {"AcquisitionTime": (0.0, 8.5, 19.5), "TriggerTime": (0.0, 9.0, 18.0)}.get(keyword)
    assert series.acquisition_times_s == (known or (None, None, None))
    assert codes(series) == ([] if known else ["unknown-times"])


def test_one_time_that_is_missing(make_series: MakeSeries) -> None:
    """Temporal positions give the order; the times that are known stay, counted from the first of them."""
    times = [{"AcquisitionTime": t, "TemporalPositionIdentifier": k} for k, t in enumerate((None, "100010", "100019"))]
    (series,) = several(make_series, times, SPOILED).series
    assert series.acquisition_times_s == (None, 0.0, 9.0)
    assert codes(series) == ["unknown-times"]
    assert "1 of 3 volumes" in str(series.problems[0])


def test_times_that_contradict_the_order_are_not_used(make_series: MakeSeries) -> None:
    """Two volumes with one time: the ordinals count, and no time is made up."""
    times = [{"AcquisitionTime": t, "TemporalPositionIdentifier": k} for k, t in enumerate(("1000", "1000", "1001"))]
    (series,) = several(make_series, times, SPOILED).series
    assert series.acquisition_times_s == (None, None, None)


def test_time_points_that_nothing_orders_are_not_joined(make_series: MakeSeries) -> None:
    """Series Numbers alone tell no order; each series says so."""
    study = several(make_series, [{}, {}, {}], UNTIMED)
    assert [series.n_volumes for series in study.series] == [1, 1, 1]
    assert [codes(series) for series in study.series] == [["unknown-order"]] * 3


def test_other_flip_angles_are_other_acquisitions(make_series: MakeSeries) -> None:
    """A T1 map's flip angles are no time points."""
    flips = [{"FlipAngle": 10 + k, "AcquisitionTime": f"10000{k}"} for k in range(3)]
    assert len(several(make_series, flips, SPOILED).series) == 3


def b_values(*values: float, **own: Any) -> list[dict[str, Any]]:
    return [{"DiffusionBValue": b, "SequenceName": f"*ep_b{b:g}t", **own} for b in values]


def test_one_series_per_b_value_is_one_series(make_series: MakeSeries) -> None:
    """Same grid and timing, other b-values: joined from the lowest up, and said."""
    (series,) = several(make_series, b_values(800, 50, 400), DIFFUSION).series
    assert (series.role, series.b_values) == ("dwi", (50, 400, 800))
    assert series.uids == ("2.25.71", "2.25.72", "2.25.70")
    assert codes(series) == ["joined-series"]
    assert "Series 49, 48, 50" in str(series.problems[0])
    assert series.regular


ADC = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]


@pytest.mark.parametrize(
    ("others", "roles"),
    [
        ([{"DiffusionBValue": 800, "SequenceName": "*ep_b50_800", "ImageType": ADC}], ["adc", "dwi"]),
        ([{"DiffusionBValue": 1400, "SequenceName": "*ep_b50_800"}], ["calculated-b", "dwi"]),
        ([{"DiffusionBValue": 800, "SequenceName": "*ep_b800t", "RepetitionTime": 4000}], ["dwi", "dwi"]),
        ([{"DiffusionBValue": 800, "SequenceName": "*ep_b800t", "PixelSpacing": [1, 1]}], ["dwi", "dwi"]),
        ([{"DiffusionBValue": 50, "SequenceName": "*ep_b50t"}], ["dwi", "dwi"]),
        ([{"DiffusionBValue": 800, "SequenceName": None}], ["dwi", "dwi"]),
        ([{"SequenceName": "*ep_b", "DiffusionBValue": None}], ["dwi", "dwi"]),
    ],
)
def test_what_is_no_part_of_a_dwi_is_not_joined(
    make_series: MakeSeries, others: list[dict[str, Any]], roles: list[str]
) -> None:
    """Maps, calculated images, other timing or grid, repeated b-values, and what may have been computed."""
    common = {**DIFFUSION, "DiffusionBValue": 0, "SequenceName": "x"}
    study = several(make_series, [*b_values(50), *others], common)
    assert [series.role for series in study.series] == roles
    assert all("joined-series" not in codes(series) for series in study.series)


def test_b_values_that_are_not_known_are_named(make_series: MakeSeries) -> None:
    """Diffusion by its Image Type, without a b-value: none is invented."""
    (series,) = several(make_series, [{}], DIFFUSION).series
    assert (series.role, series.b_values, codes(series)) == ("dwi", None, ["unknown-b-values"])


def test_maps_in_the_series_of_their_source(make_series: MakeSeries) -> None:
    """Philips may store the ADC map with the images: two series come out, not a volume more."""
    study = several(make_series, [{"DiffusionBValue": 800}, {"DiffusionBValue": 800, "ImageType": ADC}], DIFFUSION)
    folder: Path = study.series[0].paths[0].parent.parent
    import pydicom

    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID = "2.25.90"
        dataset.save_as(path)
    study = read_study(folder)
    assert sorted(series.role for series in study.series) == ["adc", "dwi"]
    assert [series.shape[:2] for series in study.series] == [(1, 3), (1, 3)]
    assert all("several-contents" in codes(series) for series in study.series)
