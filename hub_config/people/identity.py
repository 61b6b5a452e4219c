"""From the claims of an OpenID provider to an ``Identity``: pure, no network, no clock.

Group memberships come as entitlements in the form of AARC-G069 (which supersedes AARC-G002)::

    <NAMESPACE>:group:<GROUP>[:<SUBGROUP>]*[:role=<ROLE>]#<AUTHORITY>

with percent-encoded parts, or as ``wlcg.groups`` (WLCG Common JWT Profiles 1.0), paths like ``/vo/group``.
The roles are those of the ProCancer-I platform (deliverable D4.4, section 5.2.2).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import quote, unquote

from hub_config.errors import InvalidInputError
from hub_config.settings import IdentitySettings, Role

# AARC-G069 section 3: the namespace is a URN, "group" separates it from the group, the authority follows '#'.
_ENTITLEMENT = re.compile(
    r"(?P<namespace>urn:[a-z0-9][a-z0-9-]{0,31}:[A-Za-z0-9._~%:-]+?):group:"
    r"(?P<path>[A-Za-z0-9._~%!$&'()*+,;=@-]+(?::[A-Za-z0-9._~%!$&'()*+,;=@-]+)*)"
    r"(?:\#(?P<authority>[A-Za-z0-9._~%:@/-]+))?"
)
_WLCG_PATH = re.compile(r"(?:/[A-Za-z0-9._~%-]+)+")
_MAX_SUBJECT = 255  # OpenID Connect Core 1.0, section 2: sub does not exceed 255 ASCII characters


@dataclass(frozen=True)
class Identity:
    """A person as the provider vouches for them.

    Parameters
    ----------
    issuer : str
        The provider.
    subject : str
        The provider's ``sub``: opaque, and with the issuer the only key of the account.
    username : str
        Account name derived from issuer and subject.
    display_name : str
        For people's eyes only.
    groups : frozenset of str
        Normalised paths, ``vo:group:subgroup``; with a role in the group also ``vo:group:role=name``.
    roles : frozenset of str
        What the groups mean here.
    """

    issuer: str
    subject: str
    username: str
    display_name: str
    groups: frozenset[str]
    roles: frozenset[Role]


def username_for(issuer: str, subject: str) -> str:
    """Derive the account name: ``u-`` and 26 base-32 characters (130 bits) of SHA-256 over issuer and subject.

    Two people never share one (no folding of case, Unicode or escapes can make them meet), and the name fits
    everything it becomes part of: URLs, host names, container and volume names.
    """
    digest = hashlib.sha256(issuer.encode() + b"\0" + subject.encode()).digest()
    return "u-" + base64.b32encode(digest).decode("ascii").lower()[:26]


def entitlement_groups(
    entitlements: Iterable[object], namespaces: Iterable[str], authorities: Iterable[str]
) -> frozenset[str]:
    """Return the groups that believed entitlements assert.

    Parameters
    ----------
    entitlements : iterable
        Values of ``eduperson_entitlement``; what is not a group entitlement is passed over.
    namespaces, authorities : iterable of str
        Only these are believed: home institutions assert entitlements too.

    Returns
    -------
    frozenset of str
    """
    believed_namespaces, believed_authorities = frozenset(namespaces), frozenset(authorities)
    groups: set[str] = set()
    for value in entitlements:
        match = _ENTITLEMENT.fullmatch(value) if isinstance(value, str) else None
        if not match or match["namespace"].lower() not in believed_namespaces:
            continue
        if match["authority"] not in believed_authorities:
            continue
        *parts, last = match["path"].split(":")
        if last.startswith("role=") and parts:
            path = _normal(parts)
            groups |= {path, f"{path}:role={_normal([last.removeprefix('role=')])}"}
        else:
            groups.add(_normal([*parts, last]))
    return frozenset(groups)


def wlcg_groups(values: Iterable[object], prefixes: Iterable[str]) -> frozenset[str]:
    """Return the groups of a ``wlcg.groups`` claim at or below believed paths; ``/vo/group`` becomes ``vo:group``."""
    believed = tuple(prefix.rstrip("/") + "/" for prefix in prefixes)
    return frozenset(
        _normal(value.strip("/").split("/"))
        for value in values
        if isinstance(value, str) and _WLCG_PATH.fullmatch(value) and f"{value}/".startswith(believed)
    )


def identity_from_claims(claims: Mapping[str, Any], issuer: str, settings: IdentitySettings) -> Identity:
    """Turn the claims of the userinfo endpoint into an identity.

    Parameters
    ----------
    claims : mapping
        As the provider sent them; nothing in it is trusted to have the right type.
    issuer : str
        The provider they came from.
    settings : IdentitySettings
        Which entitlements are believed and which groups mean which role.

    Raises
    ------
    InvalidInputError
        There is no usable ``sub``.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or not subject.isprintable():
        raise InvalidInputError("The provider sent no usable `sub`: expected 1 to 255 printable characters.")
    groups = entitlement_groups(
        _as_list(claims.get("eduperson_entitlement")),
        settings.entitlement_namespaces,
        settings.entitlement_authorities,
    ) | wlcg_groups(_as_list(claims.get("wlcg.groups")), settings.wlcg_prefixes)
    return Identity(
        issuer=issuer,
        subject=subject,
        username=username_for(issuer, subject),
        display_name=_display_name(claims),
        groups=groups,
        roles=roles_for(groups, settings.role_groups),
    )


def roles_for(groups: frozenset[str], role_groups: Mapping[Role, Iterable[str]]) -> frozenset[Role]:
    """Return the roles that ``groups`` give; any role includes ``users``, no role means no entry."""
    roles: set[Role] = {
        role for role in get_args(Role) if groups & {normal_group(path) for path in role_groups.get(role, ())}
    }
    return frozenset(roles | {"users"}) if roles else frozenset()


def normal_group(path: str) -> str:
    """Return a group path as people write it in the one spelling that claims are brought to as well."""
    *parts, last = path.split(":")
    role = last.removeprefix("role=")
    if role != last:
        return f"{_normal(parts)}:role={_normal([role])}"
    return _normal([*parts, last])


def _normal(parts: Iterable[str]) -> str:
    """Join decoded and uniformly re-encoded parts, so that two spellings of a group compare equal."""
    return ":".join(quote(unquote(part), safe="") for part in parts)


def _as_list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _display_name(claims: Mapping[str, Any]) -> str:
    for key in ("name", "preferred_username", "email"):
        value = claims.get(key)
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value.strip()[:80]
    return "Unnamed person"
