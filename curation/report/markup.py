"""Pieces of HTML. Whatever is given as text is escaped here, and only here."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from curation.report.words import one_line

MOST_ROWS: Final = 300
"""Of a table or list; what is left out is counted."""

_MOST_JSON: Final = 20_000  # characters


def escaped(text: object, limit: int = 400) -> str:
    """Return a text from elsewhere as HTML: one line, printable, bounded, escaped."""
    return html.escape(one_line(text, limit))


def paragraph(text: object, css: str = "") -> str:
    """Return a paragraph of text."""
    return f"<p{_css(css)}>{escaped(text, 2000)}</p>"


def bullets(items: Iterable[object], css: str = "") -> str:
    """Return a list; nothing where it is empty."""
    texts = list(items)
    lines = [f"<li>{escaped(text, 1000)}</li>" for text in texts[:MOST_ROWS]]
    if len(texts) > MOST_ROWS:
        lines.append(f"<li>and {len(texts) - MOST_ROWS} more</li>")
    return f"<ul{_css(css)}>{''.join(lines)}</ul>" if lines else ""


def facts(pairs: Sequence[tuple[str, object]]) -> str:
    """Return names and values; values that are empty are left out."""
    shown = [(name, value) for name, value in pairs if str(value)]
    return f"<dl>{''.join(f'<div><dt>{escaped(n)}</dt><dd>{escaped(v)}</dd></div>' for n, v in shown)}</dl>"


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: bool = False) -> str:
    """Return a table that scrolls by itself where the page is narrow; nothing without rows.

    The first cell of a row is its heading. With `numbers` the other cells are numbers, set to the right.
    """
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in columns)
    body = "".join(
        "<tr>"
        + f'<th scope="row">{escaped(row[0])}</th>'
        + "".join(f"<td>{escaped(c)}</td>" for c in row[1:])
        + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    left_out = len(rows) - MOST_ROWS
    note = f" The first {MOST_ROWS} rows; {left_out} more are left out." if left_out > 0 else ""
    css = ' class="numbers"' if numbers else ""
    label = escaped(caption.split(".", 1)[0])
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table{css}>'
        f"<caption>{escaped(caption + note, 1000)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def details(summary: str, inner: str) -> str:
    """Return HTML that a reader opens when he wants it."""
    return f"<details><summary>{escaped(summary)}</summary>{inner}</details>"


def json_block(document: Mapping[str, Any]) -> str:
    """Return JSON as text, of bounded length."""
    text = json.dumps(document, indent=1, default=str)
    if len(text) > _MOST_JSON:
        text = text[:_MOST_JSON] + "\n... cut off here"
    return f'<pre tabindex="0">{html.escape(text)}</pre>'


def section(identifier: str, heading: str, inner: str, level: int = 2) -> str:
    """Return a section with its heading; nothing without content."""
    if not inner:
        return ""
    title = f'<h{level} id="{identifier}">{escaped(heading)}</h{level}>'
    return f'<section aria-labelledby="{identifier}">{title}{inner}</section>'


def _css(name: str) -> str:
    return f' class="{name}"' if name else ""
