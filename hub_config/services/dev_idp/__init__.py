"""The demonstration OpenID provider: stands in for Life Science Login, with a page of personas.

``provider.mjs`` runs npm's ``oidc-provider``, a certified implementation. It starts in demo mode only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from hub_config.instance import Instance
from hub_config.people.provider import client_secret, issuer_of
from hub_config.services import node
from hub_config.services.spec import ServiceSpec

PREFIX = "/services/dev-idp"


@dataclass(frozen=True)
class Persona:
    """Somebody to log in as; ``key`` is the name on the command line and in tests."""

    key: str
    subject: str
    name: str
    description: str


def personas() -> list[Persona]:
    """Return the personas that the login page offers."""
    content = json.loads((node.DEV_IDP / "personas.json").read_text(encoding="utf-8"))
    return [Persona(key, value["sub"], value["claims"]["name"], value["description"]) for key, value in content.items()]


def dev_idp_service(instance: Instance) -> ServiceSpec | None:
    """Return how the provider is run, or None where a real one is configured."""
    settings = instance.settings
    if not settings.uses_dev_idp:
        return None
    port = instance.ports["dev_idp"]
    return ServiceSpec(
        name="dev-idp",
        command=(node.node(), str(node.DEV_IDP / "provider.mjs")),
        environment={
            "LIGHTBOX_MODE": settings.mode,
            "LIGHTBOX_IDP_ISSUER": issuer_of(settings),
            "LIGHTBOX_IDP_PORT": str(port),
            "LIGHTBOX_IDP_CLIENT_ID": settings.identity.client_id,
            "LIGHTBOX_IDP_CLIENT_SECRET": client_secret(instance),
            "LIGHTBOX_IDP_REDIRECT_URIS": f"{settings.url}/hub/oauth_callback",
        },
        port=port,
        health=f"http://127.0.0.1:{port}{PREFIX}/health",
    )
