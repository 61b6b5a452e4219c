from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_config.data.catalogue import Catalogue
from hub_config.data.projects import Projects
from hub_config.data.tables import Project
from hub_config.database import Store
from hub_config.errors import InvalidInputError, LightboxError, NotFoundError, StateError
from hub_config.record.audit import AuditTrail


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "p1" / "s1").mkdir(parents=True)
    (folder / "p1" / "s1" / "1.dcm").write_bytes(b"one")
    (folder / "p1" / "s1" / "2.dcm").write_bytes(b"two")
    return folder


@pytest.fixture
def catalogue(state: Path) -> Catalogue:
    return Catalogue(
        Store(f"sqlite:///{state}/x.sqlite"), state / "datasets", AuditTrail(state / "events.jsonl"), 1_900_000_000
    )


def test_a_version_is_a_read_only_copy(catalogue: Catalogue, source: Path) -> None:
    """What is registered no longer depends on the source, and nobody may write it."""
    info = catalogue.add("demo", source, "Demo", "operator:x")
    (source / "p1" / "s1" / "1.dcm").write_bytes(b"changed")
    copy = info.path / "p1" / "s1" / "1.dcm"
    assert copy.read_bytes() == b"one"
    assert not copy.stat().st_mode & 0o222
    assert not info.path.stat().st_mode & 0o222
    assert catalogue.verify(info, "operator:x") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group")
def test_as_root_only_the_version_s_group_may_read(catalogue: Catalogue, source: Path) -> None:
    """Other accounts of the host cannot read the files, and each version has a group of its own."""
    first = catalogue.add("demo", source, "Demo", "operator:x")
    (source / "new").write_bytes(b"x")
    second = catalogue.add("demo", source, "Demo", "operator:x")
    assert first.reader_gid != second.reader_gid
    status = (first.path / "p1").stat()
    assert (status.st_gid, status.st_mode & 0o007) == (first.reader_gid, 0)


def test_versions_count_up_and_equal_content_is_no_new_version(catalogue: Catalogue, source: Path) -> None:
    """The digest decides: the same files are the same version."""
    first = catalogue.add("demo", source, "Demo", "operator:x")
    again = catalogue.add("demo", source, "Demo", "operator:x")
    (source / "new.dcm").write_bytes(b"three")
    second = catalogue.add("demo", source, "Demo", "operator:x")
    assert (first.version, again.version, second.version) == (1, 1, 2)
    assert catalogue.get("demo") == second
    assert first.path.is_dir()


def test_the_digest_does_not_depend_on_the_place(catalogue: Catalogue, source: Path) -> None:
    """A copy elsewhere, or in place, has the same identity."""
    copied = catalogue.add("copied", source, "", "operator:x")
    in_place = catalogue.add("in-place", source, "", "operator:x", in_place=True)
    assert copied.digest == in_place.digest
    assert in_place.path == source


@pytest.mark.parametrize("change", ["edit", "delete", "insert", "rename", "manifest"])
def test_verify_names_every_kind_of_change(catalogue: Catalogue, source: Path, change: str) -> None:
    """An edit, a missing file, a new file, a new name and an edited manifest are each found."""
    info = catalogue.add("demo", source, "", "operator:x", in_place=True)
    file = source / "p1" / "s1" / "1.dcm"
    manifest = info.path.parent.parent  # replaced below where it matters
    if change == "edit":
        file.write_bytes(b"ONE")
    elif change == "delete":
        file.unlink()
    elif change == "insert":
        (source / "stray").write_bytes(b"")
    elif change == "rename":
        file.rename(file.with_name("9.dcm"))
    else:
        manifest = catalogue._folder / "demo" / "v1" / "manifest.json"
        manifest.write_text(manifest.read_text().replace("1.dcm", "7.dcm"))
    assert catalogue.verify(info, "operator:x")


@pytest.mark.parametrize("name", ["../x", "", "A", "a/b", "-a", "a-", "a" * 31, "a\n", "é", ".", "a..b"])
def test_hostile_ids_are_refused(catalogue: Catalogue, source: Path, name: str) -> None:
    """An id becomes a path, a mount and a URL: only plain slugs pass."""
    with pytest.raises(InvalidInputError, match="lower-case letters"):
        catalogue.add(name, source, "", "operator:x")


@pytest.mark.parametrize("kind", ["link", "pipe", "name", "empty", "file"])
def test_hostile_folders_are_refused_and_leave_nothing(catalogue: Catalogue, tmp_path: Path, kind: str) -> None:
    """A link out of the folder, a device, an unprintable name, no files: refused with what to do."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    if kind == "link":
        (folder / "shadow").symlink_to("/etc/shadow")
    elif kind == "pipe":
        os.mkfifo(folder / "pipe")
    elif kind == "name":
        (folder / "a\nb").write_bytes(b"x")
    elif kind == "file":
        folder = Path(__file__)
    with pytest.raises(InvalidInputError):
        catalogue.add("demo", folder, "", "operator:x")
    assert catalogue.all() == []
    assert not list(catalogue._folder.glob(".incoming-*"))


def test_no_room_is_said_before_copying(catalogue: Catalogue, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how much is needed and how much is free."""
    usage = type("usage", (), {"free": 1})
    monkeypatch.setattr("hub_config.data.catalogue.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StateError, match=r"needs .* GiB and 0.0 GiB are free"):
        catalogue.add("demo", source, "", "operator:x")


def test_what_a_crash_left_is_replaced(catalogue: Catalogue, source: Path) -> None:
    """Files that were moved in place but never registered do not stop the next try."""
    stray = catalogue._folder / "demo" / "v1" / "files"
    stray.mkdir(parents=True)
    (stray / "half").write_bytes(b"x")
    info = catalogue.add("demo", source, "", "operator:x")
    assert catalogue.verify(info, "operator:x") == []


def test_an_unwritable_audit_trail_stops_the_registration(state: Path, source: Path) -> None:
    """Nothing is registered without a trace."""
    store = Store(f"sqlite:///{state}/x.sqlite")
    catalogue = Catalogue(store, state / "datasets", AuditTrail(state / "missing" / "events.jsonl"), 1_900_000_000)
    with pytest.raises(LightboxError, match="audit trail"):
        catalogue.add("demo", source, "", "operator:x")
    assert catalogue.all() == []


def test_an_unknown_dataset_is_named_with_the_known_ones(catalogue: Catalogue, source: Path) -> None:
    """The error helps with a slip of the pen."""
    catalogue.add("demo", source, "", "operator:x")
    with pytest.raises(NotFoundError, match=r"no dataset dmeo\. Registered datasets: demo"):
        catalogue.get("dmeo")


def test_reading_waits_for_no_writer(state: Path) -> None:
    """While one writes, another reads what was there before."""
    url = f"sqlite:///{state}/x.sqlite"
    first, second = Store(url), Store(url)
    trail = AuditTrail(state / "events.jsonl")
    Projects(first, trail).add("p", "", "", "operator:x")
    with first.session() as session:
        session.add(Project(id="q", title="q", description="", created_at=datetime.now(UTC)))
        session.flush()
        assert [info.id for info in Projects(second, trail).all()] == ["p"]
    assert [info.id for info in Projects(second, trail).all()] == ["p", "q"]


def test_a_migration_killed_half_way_leaves_nothing(state: Path) -> None:
    """Tables are made in one transaction: the next open begins again."""
    file = state / "x.sqlite"
    program = (
        "import os, sqlalchemy as sa; from hub_config.database import Store\n"
        "@sa.event.listens_for(sa.engine.Engine, 'after_cursor_execute')\n"
        "def end(c, cursor, statement, *rest):\n"
        "    if 'CREATE TABLE projects' in statement: os._exit(9)\n"
        f"Store('sqlite:///{file}')\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert Projects(Store(f"sqlite:///{file}"), AuditTrail(state / "e")).all() == []


def test_two_registrations_at_once_are_two_versions(state: Path, tmp_path: Path) -> None:
    """Each gets a number, a group and its own files."""
    program = (
        "import sys; from pathlib import Path\n"
        "from hub_config.data.catalogue import Catalogue; from hub_config.database import Store\n"
        "from hub_config.record.audit import AuditTrail\n"
        f"state = Path({str(state)!r})\n"
        "catalogue = Catalogue(Store(f'sqlite:///{state}/x.sqlite'), state / 'datasets', AuditTrail(state / 'e'), 5)\n"
        "catalogue.add('demo', Path(sys.argv[1]), '', 'operator:x')\n"
    )
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    running = [subprocess.Popen([sys.executable, "-c", program, str(folder)]) for folder in folders]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    catalogue = Catalogue(Store(f"sqlite:///{state}/x.sqlite"), state / "datasets", AuditTrail(state / "e"), 5)
    infos = catalogue.all()
    assert [info.version for info in infos] == [1, 2, 3]
    assert len({info.reader_gid for info in infos}) == 3
    assert all(catalogue.verify(info, "operator:x") == [] for info in infos)
