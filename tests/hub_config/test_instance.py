from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.support.workspace import lightbox
from hub_config.errors import StateError
from hub_config.instance import open_instance, own_paths, remember_choices, remembered_choices, store_settings
from hub_config.services.workspace import prepare
from hub_config.settings import Settings


def test_an_instance_keeps_its_numbers(settings: Settings) -> None:
    """Id, ports and block of user ids are chosen once."""
    assert open_instance(settings) == open_instance(settings)


def test_two_instances_share_no_user_ids(settings: Settings, tmp_path: Path) -> None:
    """The kernel's numbers are the whole host's: each instance has a block of its own."""
    one = open_instance(settings)
    other = open_instance(settings.model_copy(update={"state": tmp_path / "other"}))
    assert one.block != other.block
    assert one.first_gid < one.first_uid < one.first_gid + 10_000


def test_a_folder_with_other_things_is_refused_and_left_as_it_is(tmp_path: Path, settings: Settings) -> None:
    """A state directory is new or empty: `down --purge` empties it."""
    (tmp_path / "thesis.tex").write_text("years of work")
    tmp_path.chmod(0o755)
    with pytest.raises(StateError, match=r"holds other things \(thesis\.tex\)"):
        open_instance(settings.model_copy(update={"state": tmp_path}))
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_purge_takes_only_what_is_the_instance_s_own(settings: Settings) -> None:
    """A settings file, or anything else that came later, stays."""
    instance = open_instance(settings.model_copy(update={"spawner": "process"}))
    store_settings(instance.settings)
    (settings.state / "lightbox.yaml").write_text("{}")
    (settings.state / "notes.txt").write_text("mine")
    lightbox("down", "--purge", "--yes", "--state", str(settings.state))
    assert sorted(path.name for path in settings.state.iterdir()) == ["lightbox.yaml", "notes.txt"]
    assert own_paths(settings.state) == []


def test_others_cannot_read_what_is_in_the_state(settings: Settings) -> None:
    """Folders with secrets, databases, logs and the trail are closed; the rest can only be passed."""
    instance = open_instance(settings)
    instance.secret("cookie")
    closed = {name: (settings.state / name).stat().st_mode & 0o777 for name in ("secrets", "store", "logs", "audit")}
    assert set(closed.values()) == {0o700}
    assert settings.state.stat().st_mode & 0o777 == 0o711
    assert (settings.state / "secrets" / "cookie").stat().st_mode & 0o777 == 0o600
    assert (settings.state / "instance.json").stat().st_mode & 0o077 == 0


def test_choices_of_the_command_line_are_kept(tmp_path: Path) -> None:
    """A later choice goes over an earlier one; a damaged file is as none."""
    remember_choices(tmp_path, {"port": 8100})
    remember_choices(tmp_path, {"spawner": "process"})
    assert remembered_choices(tmp_path) == {"port": 8100, "spawner": "process"}
    (tmp_path / "choices.json").write_text("[")
    assert remembered_choices(tmp_path) == {}


def test_a_production_workspace_is_not_started_as_a_demonstration(settings: Settings, tmp_path: Path) -> None:
    """Forgetting the settings file must not open real data to made-up people."""
    file = tmp_path / "production.yaml"
    identity = {"issuer": "https://login.example/", "client_secret_file": "/etc/secret"}
    file.write_text(yaml.safe_dump({"mode": "production", "public_url": "https://x.example", "identity": identity}))
    from hub_config.settings import load_settings

    production = load_settings(file, state=settings.state)
    open_instance(production)
    store_settings(production)
    with pytest.raises(StateError, match="holds a production workspace"):
        prepare(settings.model_copy(update={"spawner": "process"}), lambda _: None)
