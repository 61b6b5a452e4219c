"""Masks to DICOM SEG and back."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from curation import Series, read_study
from curation.errors import GeometryError, IrregularSeriesError, MissingDataError, SegmentationError
from curation.segmentation import Algorithm, Segment, read_seg, write_seg
from curation.segmentation.codes import ANATOMICAL_STRUCTURE, PROSTATE, segment_colour
from tests.curation.conformance import errors_of
from tests.curation.conftest import MakeSeries

Mask = NDArray[np.bool_]


@pytest.fixture
def series(make_series: MakeSeries) -> Series:
    return read_study(make_series(5)[0].parent).series[0]


def box(z: slice | int) -> Mask:
    mask = np.zeros((5, 6, 8), dtype=bool)
    mask[z, 1:3, 2:7] = True
    return mask


def test_overlapping_segments_return_unchanged(series: Series, tmp_path: Path) -> None:
    """Masks, labels, codes, algorithm and colours survive; empty slices are restored."""
    network = Algorithm("net", "1.2")
    gland = Segment("Gland", box(slice(1, 4)), ANATOMICAL_STRUCTURE, PROSTATE, "AUTOMATIC", network, (10, 200, 30))
    path = write_seg(tmp_path / "seg.dcm", [gland, Segment("Lesion 1", box(2))], series)
    found = read_seg(path, series)
    assert [np.array_equal(s.mask, m) for s, m in zip(found.segments, (gland.mask, box(2)), strict=True)] == [True] * 2
    first, second = found.segments
    assert (first.label, first.category, first.kind) == ("Gland", ANATOMICAL_STRUCTURE, PROSTATE)
    assert (first.algorithm_type, first.algorithm) == ("AUTOMATIC", network)
    assert (second.algorithm_type, second.algorithm) == ("MANUAL", None)
    assert first.colour == pytest.approx((10, 200, 30), abs=1)
    assert second.colour == pytest.approx(segment_colour(2), abs=1)
    assert found.referenced_series_uids == (series.uid,)
    assert errors_of(path) == []


def test_without_a_series_masks_have_their_own_grid(series: Series, tmp_path: Path) -> None:
    """The stored slices alone lie at the same place of the patient."""
    path = write_seg(tmp_path / "seg.dcm", [Segment("Lesion", box(slice(2, 4)))], series)
    found = read_seg(path)
    own = {tuple(p) for p in (np.argwhere(found.segments[0].mask) @ found.affine[:3, :3].T + found.affine[:3, 3])}
    source = series.volume()
    assert own == {tuple(p) for p in source.to_lps(np.argwhere(box(slice(2, 4))))}


def test_equal_input_gives_equal_bytes(series: Series, tmp_path: Path) -> None:
    """With date and identifiers given nothing in the file is left to chance."""
    contents = [
        write_seg(
            tmp_path / name,
            [Segment("Lesion", box(2))],
            series,
            created=datetime.datetime(2026, 1, 5, 12),
            uid=lambda purpose: f"2.25.{sum(map(ord, purpose))}",
        ).read_bytes()
        for name in ("a.dcm", "b.dcm")
    ]
    assert contents[0] == contents[1]


def test_masks_that_do_not_fit_are_refused(series: Series, tmp_path: Path) -> None:
    """No segment, only empty masks, another grid, a missing folder: each has its own sentence."""
    target = tmp_path / "seg.dcm"
    with pytest.raises(SegmentationError, match="no segment"):
        write_seg(target, [], series)
    with pytest.raises(SegmentationError, match="empty"):
        write_seg(target, [Segment("x", np.zeros((5, 6, 8)))], series)
    with pytest.raises(SegmentationError, match=r"\(5, 6, 7\).*\(5, 6, 8\)"):
        write_seg(target, [Segment("x", np.ones((5, 6, 7)))], series)
    with pytest.raises(MissingDataError, match="does not exist"):
        write_seg(tmp_path / "no" / "seg.dcm", [Segment("x", box(1))], series)
    assert not target.exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mask": np.zeros((2, 2))}, r"\[z, y, x\]"),
        ({"mask": np.full((1, 2, 2), 2)}, "0 and 1"),
        ({"mask": np.zeros((1, 2, 2)), "label": ""}, "1 to 64"),
        ({"mask": np.zeros((1, 2, 2)), "algorithm_type": "AUTOMATIC"}, "which algorithm"),
    ],
)
def test_impossible_segments_are_refused(values: dict[str, object], message: str) -> None:
    """A segment is checked when it is made."""
    with pytest.raises(SegmentationError, match=message):
        Segment(**{"label": "x", **values})  # type: ignore[arg-type]


def test_other_files_and_grids_are_refused(series: Series, make_series: MakeSeries, tmp_path: Path) -> None:
    """A file that is no SEG, a missing one, a series elsewhere and one of another spacing raise."""
    path = write_seg(tmp_path / "seg.dcm", [Segment("x", box(1))], series)
    with pytest.raises(SegmentationError, match="cannot be read"):
        read_seg(series.paths[0])
    with pytest.raises(MissingDataError, match="is no file"):
        read_seg(tmp_path / "none.dcm")
    frame = make_series(5, lambda d, z: setattr(d, "FrameOfReferenceUID", "2.25.8"), "frame")
    spacing = make_series(5, lambda d, z: setattr(d, "PixelSpacing", [0.6, 0.75]), "spacing")
    shifted = make_series(5, lambda d, z: setattr(d, "ImagePositionPatient", [-9.8, -20, 3 * z]), "shifted")
    away = make_series(5, lambda d, z: setattr(d, "ImagePositionPatient", [-10, -20, 3 * z + 30]), "away")
    for paths, message in ((frame, "frame of ref"), (spacing, "spacing"), (shifted, "between"), (away, "outside")):
        with pytest.raises(GeometryError, match=message):
            read_seg(path, read_study(paths).series[0])


def test_a_segmentation_gives_no_volume(series: Series, tmp_path: Path) -> None:
    """In a study it is listed without a problem, and asking for a volume names the right function."""
    path = write_seg(tmp_path / "series" / "seg.dcm", [Segment("x", box(1))], series)
    (seg,) = (s for s in read_study(path.parent).series if s.modality == "SEG")
    assert (seg.n_volumes, seg.problems) == (0, ())
    with pytest.raises(IrregularSeriesError, match="read_seg"):
        seg.volume()
