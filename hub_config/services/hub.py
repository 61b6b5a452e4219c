"""The hub and its proxy: two processes, so that restarting the hub harms no server."""

from __future__ import annotations

import sys
from typing import Any

from hub_config.compute.spawners.engine import Engine
from hub_config.instance import Instance
from hub_config.paths import ROOT
from hub_config.people.provider import role_group
from hub_config.services import node
from hub_config.services.spec import ServiceSpec

SUPERVISOR = "supervisor"


def hub_address(instance: Instance) -> str:
    """Return the address the hub listens on: where servers reach it.

    Containers reach the host on their bridge's gateway only, so the hub listens there; the host reaches it
    there too. Processes reach it on loopback.
    """
    if instance.settings.spawner != "docker":
        return "127.0.0.1"
    engine = Engine()
    try:
        return engine.ensure_network(instance.name).gateway
    finally:
        engine.close()


def proxy_service(instance: Instance) -> ServiceSpec:
    """Return how configurable-http-proxy is run."""
    settings, ports = instance.settings, instance.ports
    hub = f"http://{hub_address(instance)}:{ports['hub']}"
    return ServiceSpec(
        name="proxy",
        command=(
            node.node(),
            str(node.PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"),
            *("--ip", settings.bind, "--port", str(settings.port)),
            *("--api-ip", "127.0.0.1", "--api-port", str(ports["proxy_api"])),
            *("--default-target", hub, "--error-target", f"{hub}/hub/error"),
            *("--log-level", "warn"),
        ),
        environment={"CONFIGPROXY_AUTH_TOKEN": instance.secret("proxy")},
        port=settings.port,
        address=settings.bind,
        health=f"http://127.0.0.1:{ports['proxy_api']}/api/routes",
        back=f"{hub}/hub/api/proxy",  # a new proxy knows no routes: the hub is asked to give them at once
    )


def hub_service(instance: Instance) -> ServiceSpec:
    """Return how JupyterHub is run."""
    address, port = hub_address(instance), instance.ports["hub"]
    return ServiceSpec(
        name="hub",
        command=(sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "hub_config" / "jupyterhub_config.py")),
        environment={
            "LIGHTBOX_STATE": str(instance.state),
            "JUPYTERHUB_CRYPT_KEY": instance.secret("auth_state"),
            "CONFIGPROXY_AUTH_TOKEN": instance.secret("proxy"),
        },
        port=port,
        address=address,
        health=f"http://{address}:{port}/hub/health",
        needs=("proxy", "dev-idp") if instance.settings.uses_dev_idp else ("proxy",),
    )


def configure_hub(c: Any, instance: Instance) -> None:
    """Tell the hub where it is, what it keeps, and who may do what through its API."""
    settings = instance.settings
    address = f"http://{hub_address(instance)}:{instance.ports['hub']}"
    hub = c.JupyterHub
    hub.bind_url = f"http://{settings.bind}:{settings.port}"
    hub.hub_bind_url = hub.hub_connect_url = address
    hub.db_url = f"sqlite:///{instance.store / 'hub.sqlite'}"
    hub.upgrade_db = True
    hub.cookie_secret = bytes.fromhex(instance.secret("cookie"))
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{instance.ports['proxy_api']}"
    hub.cleanup_servers = False
    # A server is one project's: its name is the project's id, and a person may have one in each project.
    hub.allow_named_servers = True
    hub.concurrent_spawn_limit = 20
    hub.load_roles = [
        {"name": SUPERVISOR, "scopes": ["shutdown", "read:hub", "proxy"], "services": [SUPERVISOR]},
        # No `access:servers` and no `tokens`: who runs the house does not read what is in the rooms.
        {
            "name": "lightbox-admin",
            "scopes": ["admin-ui", "list:users", "read:users", "admin:servers", "read:metrics"],
            "groups": [role_group("admins")],
        },
    ]
    hub.services = [{"name": SUPERVISOR, "api_token": instance.secret("supervisor"), "display": False}]
    if settings.uses_dev_idp:
        hub.services.append(
            {"name": "dev-idp", "url": f"http://127.0.0.1:{instance.ports['dev_idp']}", "display": False}
        )
    c.Spawner.disable_user_config = False
