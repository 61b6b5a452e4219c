"""The documents say what the code says: reference pages, links, examples, version."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from curation.synthetic import write_cohort
from docs.generate import FOLDER, pages
from hub_config.paths import ROOT

# [text](target), ![picture](target); code is taken out before.
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def documents() -> Iterator[Path]:
    """Every Markdown file of the repository."""
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts
        if not any(part.startswith(".") or part == "node_modules" for part in parts):
            yield path


def anchors(path: Path) -> set[str]:
    """The anchors that the headings of a document get."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("name", list(pages()))
def test_reference_pages_are_as_the_code_says(name: str) -> None:
    """Each page equals what the generator writes; mend it with: python docs/generate.py."""
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name]


@pytest.mark.parametrize("path", list(documents()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_resolve(path: Path) -> None:
    """Each link to a file finds it inside the repository, and each link to a heading finds that."""
    broken = []
    for target in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        if not found.exists() or not found.is_relative_to(ROOT) or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def test_examples_for_researchers_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of researcher.md runs from top to bottom on a synthetic dataset."""
    write_cohort(tmp_path / "datasets" / "synthetic-prostate", patients=1, seed=1)
    monkeypatch.setenv("LIGHTBOX_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.delenv("LIGHTBOX_DATASETS_INFO", raising=False)
    monkeypatch.chdir(tmp_path)
    blocks = _BLOCK.findall((FOLDER / "researcher.md").read_text(encoding="utf-8"))
    assert len(blocks) > 4
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"researcher.md, block {number}", "exec"), names)
    assert (tmp_path / "bright.dcm").is_file()


def test_version_is_one() -> None:
    """Package, citation and changelog name the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
