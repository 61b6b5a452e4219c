"""The tokens of the one look: what is written in them can be read (WCAG 2.2, level AA)."""

import re

import pytest

from hub_config.paths import PAGES

STATIC = PAGES / "static"
TEXT = ("text", "muted", "accent", "info", "done", "pending", "blocked", "danger")


class TestColours:
    @pytest.mark.parametrize("surface", ["page", "image"])
    @pytest.mark.parametrize("behind", ["surface", "panel", "raised"])
    @pytest.mark.parametrize("token", TEXT)
    def test_text_can_be_read(self, surface: str, behind: str, token: str):
        tokens = tokens_of(surface)
        assert contrast(tokens[token], tokens[behind]) >= 4.5

    @pytest.mark.parametrize("surface", ["page", "image"])
    def test_words_on_the_accent_can_be_read(self, surface: str):
        tokens = tokens_of(surface)
        assert contrast(tokens["on-accent"], tokens["accent"]) >= 4.5

    @pytest.mark.parametrize("surface", ["page", "image"])
    def test_edges_of_controls_can_be_seen(self, surface: str):
        tokens = tokens_of(surface)
        assert contrast(tokens["edge"], tokens["panel"]) >= 3

    def test_overlays_can_be_seen_on_the_image_surface(self):
        tokens = tokens_of("image")
        assert contrast(tokens["moving"], tokens["surface"]) >= 4.5
        assert contrast(tokens["static"], tokens["surface"]) >= 4.5

    def test_colours_are_named_only_among_the_tokens(self):
        for path in STATIC.glob("*.css"):
            if path.name != "tokens.css":
                assert not re.findall(r"#[0-9a-f]{3,8}\b(?=[;\s,)])", path.read_text())


def tokens_of(surface: str) -> dict[str, str]:
    """Return the colours of one surface, by token."""
    text = (STATIC / "tokens.css").read_text()
    block = re.search(rf'\[data-lb-surface="{surface}"\] {{(.*?)}}', text, re.DOTALL)
    assert block
    return dict(re.findall(r"--lb-([\w-]+): (#[0-9a-f]{6});", block[1]))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
