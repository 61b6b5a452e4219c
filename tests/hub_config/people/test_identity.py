from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_config.errors import InvalidInputError
from hub_config.people.identity import entitlement_groups, identity_from_claims, username_for, wlcg_groups
from hub_config.settings import IdentitySettings

ISSUER = "https://login.aai.lifescience-ri.eu/oidc/"
NAMESPACE, AUTHORITY = "urn:geant:lifescience-ri.eu", "aai.lifescience-ri.eu"
EUCAIM = "lifescience:communities_and_projects:EUCAIM"


def groups(*values: object) -> frozenset[str]:
    return entitlement_groups(values, [NAMESPACE], [AUTHORITY])


def claims(*paths: str, **more: Any) -> dict[str, Any]:
    return {"sub": "a" * 40, "eduperson_entitlement": [f"{NAMESPACE}:group:{p}#{AUTHORITY}" for p in paths], **more}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{NAMESPACE}:group:{EUCAIM}#{AUTHORITY}", {EUCAIM}),
        (f"{NAMESPACE}:group:vo:team%20one#{AUTHORITY}", {"vo:team%20one"}),
        (f"{NAMESPACE}:group:vo:t%65am#{AUTHORITY}", {"vo:team"}),
        (f"{NAMESPACE}:group:vo:role=chair#{AUTHORITY}", {"vo", "vo:role=chair"}),
        (f"URN:geant:lifescience-ri.eu:group:vo#{AUTHORITY}", set()),
        (f"{NAMESPACE}:res:storage#{AUTHORITY}", set()),
        ("urn:geant:evil.example:group:vo#aai.lifescience-ri.eu", set()),
        (f"{NAMESPACE}:group:vo#evil.example", set()),
        (f"{NAMESPACE}:group:vo", set()),
        (f"{NAMESPACE}:group:#{AUTHORITY}", set()),
        (f"{NAMESPACE}:group:vo#{AUTHORITY}\n", set()),
        (f"x{NAMESPACE}:group:vo#{AUTHORITY}", set()),
        (42, set()),
    ],
)
def test_entitlements(value: object, expected: set[str]) -> None:
    """Only well-formed group entitlements of believed namespaces and authorities count (AARC-G069)."""
    assert groups(value) == expected


def test_an_encoded_colon_makes_no_subgroup() -> None:
    """A percent-encoded separator stays part of its name."""
    assert groups(f"{NAMESPACE}:group:vo%3Aadmins#{AUTHORITY}") == {"vo%3Aadmins"}


def test_wlcg_groups_are_paths() -> None:
    """`/vo/group` is `vo:group` where the path is believed; anything else is passed over."""
    values = ["/eucaim/lightbox", "/eucaimx", "/other", "no-slash", "/eucaim//b", 7]
    assert wlcg_groups(values, ["/eucaim"]) == {"eucaim:lightbox"}
    assert wlcg_groups(values, []) == frozenset()


def test_an_unlisted_wlcg_claim_makes_no_admin() -> None:
    """The claim names no authority: by default nothing in it is believed."""
    hostile = {"sub": "a", "wlcg.groups": ["/lifescience/communities_and_projects/EUCAIM/lightbox/admins"]}
    assert identity_from_claims(hostile, ISSUER, IdentitySettings()).roles == frozenset()


def test_groups_are_compared_in_one_spelling() -> None:
    """What an operator writes with blanks or signs is the group that the claim encodes."""
    settings = IdentitySettings(role_groups={"users": ("elixir:ELIXIR AAI:staff",)})
    person = identity_from_claims(claims("elixir:ELIXIR%20AAI:staff"), ISSUER, settings)
    assert person.roles == {"users"}


@pytest.mark.parametrize("role", ["admins", "modellers", "data-providers", "users"])
def test_each_role_comes_with_users(role: str) -> None:
    """A role's group gives the role, and any role includes `users`."""
    person = identity_from_claims(claims(f"{EUCAIM}:lightbox:{role}"), ISSUER, IdentitySettings())
    assert person.roles == {role, "users"}


def test_the_community_alone_gives_no_role() -> None:
    """Being in the community, or in a group below a role's group, opens nothing."""
    person = identity_from_claims(claims(EUCAIM, f"{EUCAIM}:lightbox:admins:deputies"), ISSUER, IdentitySettings())
    assert person.roles == frozenset()


@pytest.mark.parametrize("sub", [None, "", 7, "x" * 256, "new\nline", ["a"]])
def test_a_claim_set_without_usable_sub_is_refused(sub: object) -> None:
    """The account key must be there; the error says what was expected."""
    with pytest.raises(InvalidInputError, match="1 to 255 printable characters"):
        identity_from_claims({"sub": sub}, ISSUER, IdentitySettings())


@pytest.mark.parametrize("hostile", ["<script>", None, 7, {"a": 1}, "x\x00y"])
def test_odd_claims_do_not_break_the_identity(hostile: object) -> None:
    """Claims of unexpected type are passed over, never believed."""
    person = identity_from_claims(
        {"sub": "a", "eduperson_entitlement": hostile, "wlcg.groups": hostile, "name": hostile},
        ISSUER,
        IdentitySettings(),
    )
    assert person.roles == frozenset()
    assert person.display_name


COLLIDING = [
    "Alice", "alice", "ALICE", "alice ", " alice", "alice\u200b", "al\u0131ce", "\u0430lice", "alice@x", "alice%40x",
    "alice-x", "alice_x", "alice.x", "a-6c-ice", "alic\u00e9", "alice\u0301", "\uff21lice", "alice/..",
    "alice:", "alice--x",
]  # fmt: skip


def test_twenty_names_that_fold_together_stay_apart() -> None:
    """Case, Unicode and escapes never make two subjects one account."""
    names = {username_for(ISSUER, subject) for subject in COLLIDING}
    assert len(names) == len(COLLIDING) == 20


def test_the_same_subject_of_another_provider_is_another_person() -> None:
    """Issuer and subject together are the key."""
    assert username_for(ISSUER, "a") != username_for("https://other.example/", "a")


@given(st.text(min_size=1, max_size=255))
def test_usernames_fit_urls_hosts_and_containers(subject: str) -> None:
    """Whatever the subject is, the account name is 28 lower-case letters, digits and one hyphen."""
    name = username_for(ISSUER, subject)
    assert len(name) == 28
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz234567-")
