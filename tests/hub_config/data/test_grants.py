from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub_config.data.catalogue import Catalogue, VersionInfo
from hub_config.data.grants import GrantDecision, Grants
from hub_config.data.projects import Projects
from hub_config.data.sandbox import mounts_for
from hub_config.database import Store
from hub_config.errors import ConflictError, InvalidInputError, NotFoundError, RefusedError
from hub_config.people.identity import Identity
from hub_config.record.audit import AuditTrail

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def version(dataset: str, path: Path, number: int = 1) -> VersionInfo:
    return VersionInfo(dataset, number, dataset, "sha256:0", 1, 1, path, 1, NOW)


def decision(project: str, dataset: str, granted: bool = True, until: datetime | None = None) -> GrantDecision:
    return GrantDecision(project, dataset, 1, granted, until, "operator:x", NOW)


def person(subject: str = "s", *groups: str) -> Identity:
    return Identity("i", subject, "u", "U", frozenset(groups), frozenset({"users"}))


@pytest.fixture
def store(state: Path) -> Store:
    return Store(f"sqlite:///{state}/x.sqlite")


@pytest.fixture
def audit(state: Path) -> AuditTrail:
    return AuditTrail(state / "events.jsonl")


def test_a_mount_exists_only_with_a_grant(tmp_path: Path) -> None:
    """Ten projects by ten datasets: exactly the granted pairs are mounted (SATRE 3.2.03)."""
    versions = [version(f"d{i}", tmp_path) for i in range(10)]
    granted = {(f"p{i}", f"d{j}") for i in range(10) for j in range(10) if (i * 7 + j * 3) % 4 == 0}
    grants = [decision(project, dataset) for project, dataset in granted]
    for i in range(10):
        mounted = {mount.dataset for mount in mounts_for(f"p{i}", grants, versions, NOW)}
        assert mounted == {dataset for project, dataset in granted if project == f"p{i}"}


def test_expired_and_revoked_grants_mount_nothing(tmp_path: Path) -> None:
    """A grant ends at its moment, not a tick later."""
    versions = [version("d", tmp_path)]
    assert mounts_for("p", [decision("p", "d", until=NOW)], versions, NOW) == ()
    assert mounts_for("p", [decision("p", "d", granted=False)], versions, NOW) == ()
    assert len(mounts_for("p", [decision("p", "d", until=NOW + timedelta(seconds=1))], versions, NOW)) == 1


def test_a_granted_dataset_whose_files_are_gone_refuses_the_server(tmp_path: Path) -> None:
    """A server that silently lacks data would give wrong results."""
    with pytest.raises(RefusedError, match="its files are not there"):
        mounts_for("p", [decision("p", "d")], [version("d", tmp_path / "gone")], NOW)
    with pytest.raises(RefusedError, match="its files are not there"):
        mounts_for("p", [decision("p", "d")], [], NOW)


def test_the_newest_decision_counts_and_none_is_lost(state: Path, store: Store, audit: AuditTrail) -> None:
    """Grant, revoke, grant again: three rows, and the last is in force."""
    folder = state / "source"
    folder.mkdir()
    (folder / "x").write_bytes(b"x")
    info = Catalogue(store, state / "datasets", audit, 1_900_000_000).add("d", folder, "", "operator:x")
    projects, grants = Projects(store, audit), Grants(store, audit)
    projects.add("p", "", "", "operator:x")
    grants.grant("p", info, None, "operator:x")
    grants.revoke("p", "d", "operator:y")
    assert grants.live("p") == []
    end = datetime.now(UTC) + timedelta(days=1)
    grants.grant("p", info, end, "operator:x")
    assert [grant.until for grant in grants.live("p")] == [end]
    assert [row.granted for row in grants.history()] == [True, False, True]
    assert grants.live("p", end) == []


def test_grants_that_end_in_the_past_or_do_not_exist(state: Path, store: Store, audit: AuditTrail) -> None:
    """Both are refused with words."""
    grants = Grants(store, audit)
    with pytest.raises(InvalidInputError, match="ends in the future"):
        grants.grant("p", version("d", state), datetime(2020, 1, 1, tzinfo=UTC), "operator:x")
    with pytest.raises(NotFoundError, match="nothing to revoke"):
        grants.revoke("p", "d", "operator:x")


def test_members_by_subject_and_by_group(store: Store, audit: AuditTrail) -> None:
    """A person belongs to a project by themselves or through a group, until the decision is taken back."""
    projects = Projects(store, audit)
    projects.add("p", "P", "", "operator:x")
    projects.add("q", "Q", "", "operator:x")
    projects.decide_member("p", "sub:s", True, "operator:x")
    projects.decide_member("q", "group:vo:team", True, "operator:x")
    assert [info.id for info in projects.of(person("s"))] == ["p"]
    assert [info.id for info in projects.of(person("t", "vo:team"))] == ["q"]
    assert projects.of(person("group:vo:team", "vo")) == []
    projects.decide_member("p", "sub:s", False, "operator:x")
    assert projects.of(person("s")) == []


@pytest.mark.parametrize("member", ["s", "sub:", "role:admins", "sub:a\nb"])
def test_malformed_members_are_refused(store: Store, audit: AuditTrail, member: str) -> None:
    """A member says what it is."""
    projects = Projects(store, audit)
    projects.add("p", "P", "", "operator:x")
    with pytest.raises(InvalidInputError, match="sub:<subject> or group:<path>"):
        projects.decide_member("p", member, True, "operator:x")


def test_a_project_is_founded_once(store: Store, audit: AuditTrail) -> None:
    """A second project of the same id is refused."""
    projects = Projects(store, audit)
    projects.add("p", "P", "", "operator:x")
    with pytest.raises(ConflictError, match="already"):
        projects.add("p", "P", "", "operator:x")
