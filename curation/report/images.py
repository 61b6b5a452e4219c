"""Pictures inside the page: PNG with few colours, small enough for a file that is sent around."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from curation.drawing import Picture
from curation.optional import require
from curation.report.words import one_line

BUDGET: Final = 2_100_000
"""Bytes of all pictures of a report; base64 adds a third."""

MOST_PICTURES: Final = 40

_DPI: Final = (96, 84, 72, 60, 48)
_SMALL: Final = 600_000  # pixels up to which a picture keeps all its colours
_GREY: Final = 8.0  # mean difference of the channels below which a picture counts as grey
_COLOURS: Final = 256


class Gallery:
    """Turns pictures into figures of the page, all of them within `BUDGET`.

    Parameters
    ----------
    expected : int
        How many pictures there will be: each may take its share of what the ones before left.
    """

    def __init__(self, expected: int) -> None:
        self._left, self._pictures = BUDGET, min(max(expected, 1), MOST_PICTURES)

    def figure(self, picture: Picture, caption: str) -> str:
        """Return a figure with the picture; a sentence once there are too many pictures."""
        if self._pictures < 1:
            return f"<p>{html.escape(caption)} Left out: a report holds at most {MOST_PICTURES} pictures.</p>"
        data, (width, height) = encode(picture, self._left // self._pictures)
        self._pictures -= 1
        self._left = max(self._left - len(data), 0)
        text = html.escape(one_line(picture.text or caption, 600))
        source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
        label = html.escape(caption.split(".", 1)[0])
        return (
            f'<figure><div class="scroll" role="region" tabindex="0" aria-label="{label}">'
            f'<img src="{source}" alt="{text}" width="{width}" height="{height}"></div>'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )


def encode(picture: Picture, budget: int, resolutions: Sequence[float] = _DPI) -> tuple[bytes, tuple[int, int]]:
    """Return a picture as PNG, with at most 256 colours where it is large, and its size in pixels (width, height).

    At the first resolution (dots per inch) at which it takes no more than `budget` bytes, else at the last.
    """
    data, size = b"", (0, 0)
    for dpi in resolutions:
        pixels = picture.pixels(dpi)
        data, size = _png(pixels, budget), (pixels.shape[1], pixels.shape[0])
        if len(data) <= budget:
            break
    return data, size


def _png(pixels: NDArray[np.uint8], budget: int) -> bytes:
    images = require("PIL.Image", "A report with pictures", "workspace")
    image = images.fromarray(pixels)
    if pixels.shape[0] * pixels.shape[1] <= _SMALL:
        data = _saved(image)
        if len(data) <= budget:
            return data
    # Median cut takes long with many colours; octrees are quick, but show steps in grey.
    grey = float(np.ptp(pixels, axis=2).mean()) < _GREY
    method = images.Quantize.MEDIANCUT if grey else images.Quantize.FASTOCTREE
    return _saved(image.quantize(_COLOURS, method=method))


def _saved(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()
