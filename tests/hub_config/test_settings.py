from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hub_config.errors import SettingsError
from hub_config.paths import ROOT
from hub_config.settings import Settings, load_settings

PRODUCTION: dict[str, Any] = {
    "mode": "production",
    "spawner": "docker",
    "public_url": "https://lightbox.example.org",
    "identity": {"issuer": "https://login.aai.lifescience-ri.eu/oidc/", "client_secret_file": "/etc/lightbox/secret"},
}


def load(tmp_path: Path, **values: Any) -> Settings:
    return load_settings(None, state=tmp_path, **values)


def test_defaults_start_a_demonstration(tmp_path: Path) -> None:
    """Without a file there is a demonstration on loopback."""
    settings = load(tmp_path)
    assert (settings.mode, settings.uses_dev_idp, settings.url) == ("demo", True, "http://127.0.0.1:8000")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    """Settings are frozen."""
    with pytest.raises(ValidationError):
        load(tmp_path).port = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity": {}}, "identity.issuer must name a real provider"),
        ({"spawner": "process"}, "spawner must be docker"),
        ({"public_url": "http://lightbox.example.org"}, "public_url must be an https URL"),
        ({"public_url": None}, "public_url must be an https URL"),
        ({"identity": {"issuer": "http://x/", "client_secret_file": "/s"}}, "identity.issuer must be an https URL"),
        ({"identity": {"issuer": "https://x/"}}, "client_secret_file is not"),
        ({"profiles": []}, "nobody could start a server"),
        ({"profiles": [{"id": "a", "title": "A"}, {"id": "a", "title": "B"}]}, "ids must differ"),
        ({"profiles": [{"id": "A b", "title": "A"}]}, "profiles.0.id"),
        ({"prot": 1}, "prot: Extra inputs are not permitted"),
    ],
)
def test_contradictions_are_refused_at_the_start(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """What cannot work or is unsafe in production is named when the settings are loaded."""
    load_settings(None, state=tmp_path, **PRODUCTION)
    file = tmp_path / "lightbox.yaml"
    import yaml

    file.write_text(yaml.safe_dump({**PRODUCTION, **change}))
    with pytest.raises(SettingsError, match=message):
        load_settings(file, state=tmp_path)


def test_the_demonstration_provider_stays_on_loopback(tmp_path: Path) -> None:
    """A provider that lets anybody be anyone is not opened to a network."""
    with pytest.raises(SettingsError, match="lets anybody be anyone"):
        load(tmp_path, bind="0.0.0.0")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "\x00"])
def test_a_file_that_is_no_settings_file_is_named(tmp_path: Path, text: str) -> None:
    """The error names the file and what is wrong."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"x\.yaml"):
        load_settings(file, state=tmp_path)


def test_the_example_is_complete_but_for_client_and_secret(tmp_path: Path) -> None:
    """The shipped example loads as it is: an operator fills in client id and secret file only."""
    settings = load_settings(ROOT / "hub_config" / "lightbox.example.yaml", state=tmp_path)
    assert settings.mode == "production"
    assert settings.identity.issuer == "https://login.aai.lifescience-ri.eu/oidc/"
