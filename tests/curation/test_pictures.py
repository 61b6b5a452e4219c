"""Pictures of slices: orientation, outlines, what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from curation import Picture, Series, Volume, read_study, show_diffusion, show_slices
from curation.errors import MissingDependencyError
from curation.segmentation import segmentations
from curation.synthetic import SyntheticStudy
from tests.curation.conftest import MakeSeries


def letters(picture: Picture) -> list[str]:
    """Letters of the first panel: right, left, bottom, top."""
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    return [text for text in texts if len(text) == 1]


def labelled(columns: tuple[float, ...], rows: tuple[float, ...]) -> Series:
    affine = np.eye(4)
    affine[:3, 2], affine[:3, 1], affine[:3, 0] = columns, rows, np.cross(columns, rows)
    volume = Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), affine)
    return Series("1", "x", "MR", "t2w", "axial", (1, 3, 4, 5), (1, 1, 1), None, None, (), lambda k: volume)


@pytest.mark.parametrize(
    ("columns", "rows", "expected", "corner"),
    [
        ((1, 0, 0), (0, 1, 0), "LRPA", 20),
        ((-1, 0, 0), (0, -1, 0), "LRPA", 39),
        ((0, 1, 0), (0, 0, -1), "PAIS", 20),
        ((0, -1, 0), (0, 0, 1), "PAIS", 39),
        ((1, 0, 0), (0, 0, -1), "LRIS", 20),
        ((-1, 0, 0), (0, 1, 0), "LRPA", 24),
    ],
)
def test_patients_left_is_on_the_viewers_right(
    columns: tuple[float, ...], rows: tuple[float, ...], expected: str, corner: int
) -> None:
    """However the array lies: left or posterior to the right, posterior or inferior down; pixels turn along."""
    picture = show_slices(labelled(columns, rows), count=1)
    assert "".join(letters(picture)) == expected
    assert np.asarray(picture.figure.axes[0].images[0].get_array())[0, 0] == corner


def test_the_outline_chooses_the_slice(cohort: list[SyntheticStudy]) -> None:
    """With a lesion, the slice that shows most of it; the outline is drawn and named on T2w and DWI."""
    study = read_study(cohort[0].folder)
    static = study.default_static
    assert static is not None
    found = segmentations(study, static)
    largest = int(found[0].segments[0].mask.sum(axis=(1, 2)).argmax())
    picture = show_slices(static, count=1, outlines=found)
    assert picture.figure.axes[0].get_title(loc="left") == f"slice {largest + 1} of 20"
    diffusion = show_diffusion(study.with_role("dwi")[0], outlines=found)
    titles = [axes.get_title(loc="left") for axes in diffusion.figure.axes]
    assert [title[:7] for title in titles] == ["b = 50 ", "b = 400", "b = 800"]
    assert all(axes.collections for axes in (*picture.figure.axes, *diffusion.figure.axes))
    assert "Lesion 1" in picture.figure.texts[-1].get_text()


def test_aspect_is_true_to_the_millimetre(make_series: MakeSeries) -> None:
    """6 rows of 0.5 mm and 8 columns of 0.75 mm cover 6 mm x 3 mm."""
    picture = show_slices(read_study(make_series(3)).series[0])
    assert [tuple(axes.images[0].get_extent()) for axes in picture.figure.axes] == [(0.0, 6.0, 3.0, 0.0)] * 3


def test_a_missing_series_is_said(tmp_path: Path) -> None:
    """None gives a picture with a sentence, which can be saved."""
    for picture in (show_slices(None), show_diffusion(None)):
        assert "There is no" in picture.figure.texts[0].get_text()
        assert picture.save(tmp_path / "empty.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The feature, the package and the extra are named."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"Drawing slices.*'matplotlib'.*lightbox\[workspace\]"):
        show_slices(None)
