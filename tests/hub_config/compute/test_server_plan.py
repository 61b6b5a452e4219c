from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub_config.compute.profiles import GIB, Host, Offer, offers_for
from hub_config.compute.server_plan import Image, ServerPlan, plan_server, started_event
from hub_config.compute.spawners.containers import host_config
from hub_config.data.projects import ProjectInfo
from hub_config.data.sandbox import DatasetMount
from hub_config.errors import RefusedError
from hub_config.people.identity import Identity, Role, username_for
from hub_config.settings import ProfileSettings

STANDARD = ProfileSettings(id="standard", title="Standard", cpu=4, memory_gib=4)
GPU = ProfileSettings(id="gpu", title="GPU", gpus=1, memory_gib=4, roles=("modellers",))
HUGE = ProfileSettings(id="huge", title="Huge", memory_gib=512)
HOST = Host(cpus=2, memory_bytes=16 * GIB)
PROJECT = ProjectInfo("p", "P", "", frozenset({"sub:s"}))
MOUNT = DatasetMount("d", 3, "D", "sha256:1", Path("/srv/d"), 1900000001)


def person(*roles: Role, subject: str = "s") -> Identity:
    return Identity("i", subject, username_for("i", subject), "S", frozenset(), frozenset(roles))


def plan(identity: Identity | None = None, profile: ProfileSettings = STANDARD) -> ServerPlan:
    who = identity or person("users")
    (offer,) = offers_for(who, [profile], HOST)
    return plan_server("lightbox-1", who, PROJECT, offer, (MOUNT,), Image("img", "sha256:i"))


def test_offers_say_why_not() -> None:
    """Role, GPU and memory each have their reason; a CPU limit is cut to the machine."""
    standard, gpu, huge = offers_for(person("users"), [STANDARD, GPU, HUGE], HOST)
    assert (standard.reason, standard.cpu) == (None, 2.0)
    assert gpu.reason == "This machine has no GPU that can be leased."
    assert huge.reason == "Needs 512 GiB of memory; this machine has 16 GiB."
    (large,) = offers_for(person("users"), [STANDARD.model_copy(update={"roles": ("modellers",)})], HOST)
    assert "model developers" in str(large.reason)


@pytest.mark.parametrize(
    ("identity", "profile", "words"),
    [
        (person(), STANDARD, "no role"),
        (person("users", subject="other"), STANDARD, "not a member"),
        (person("users"), GPU, "not available"),
    ],
)
def test_refusals(identity: Identity, profile: ProfileSettings, words: str) -> None:
    """Without role, membership or right to the profile there is no plan."""
    with pytest.raises(RefusedError, match=words):
        plan(identity, profile)


def test_threads_follow_the_cpu_limit() -> None:
    """Libraries that would start a thread per core of the host are told the limit."""
    environment = plan().environment
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TORCH_NUM_THREADS"):
        assert environment[name] == "2"


def test_a_server_cannot_take_a_gpu_by_itself() -> None:
    """The variable that the NVIDIA runtime obeys is neutralised."""
    assert plan().environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_server_knows_its_datasets_and_nobody_else() -> None:
    """Ids, versions and digests go in; no name, mail address or subject does."""
    environment = plan().environment
    assert json.loads(environment["LIGHTBOX_DATASETS_INFO"]) == [
        {"id": "d", "title": "D", "version": 3, "digest": "sha256:1"}
    ]
    assert "sub:s" not in json.dumps(dict(environment))


def test_what_runs_is_what_is_recorded() -> None:
    """The event carries image digest, versions and limits of the plan."""
    event = started_event(plan())
    assert (event.image_digest, event.isolation, event.subject) == ("sha256:i", "docker", "s")
    assert [(d.id, d.version, d.digest) for d in event.datasets] == [("d", 3, "sha256:1")]
    assert (event.cpu, event.memory_bytes, event.pids) == (2.0, 4 * GIB, 1024)


def test_container_limits_follow_the_plan() -> None:
    """No capability, no new privilege, no swap, and the datasets' groups."""
    config = host_config(plan())
    assert config["cap_drop"] == ["ALL"]
    assert config["security_opt"] == ["no-new-privileges"]
    assert config["memswap_limit"] == 4 * GIB
    assert config["group_add"] == ["1900000001"]
    assert config["read_only"] is True


def test_an_offer_is_available_without_a_reason() -> None:
    """The page and the rule ask the same question."""
    assert Offer(STANDARD, 2, GIB, None).available
    assert not Offer(STANDARD, 2, GIB, "no").available
