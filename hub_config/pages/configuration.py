"""What the hub must know about our pages."""

from __future__ import annotations

from typing import Any

from tornado.web import StaticFileHandler

from hub_config import __version__
from hub_config.compute.admission import Admission
from hub_config.instance import Instance
from hub_config.pages.start_page import render_form
from hub_config.paths import PAGES


def configure_pages(c: Any, instance: Instance, admission: Admission) -> None:
    """Put our templates before the hub's, and serve what they refer to."""
    settings = instance.settings
    c.JupyterHub.template_paths = [str(PAGES / "templates")]
    c.JupyterHub.template_vars = {
        "lightbox": {
            "version": __version__,
            "isolation": settings.spawner,
            "demo": settings.uses_dev_idp,
            "login_name": settings.identity.login_name,
            "contact": settings.contact,
            "groups": list(settings.identity.role_groups.get("users", ())),
        }
    }
    c.JupyterHub.logo_file = str(PAGES / "static" / "logo.svg")
    c.JupyterHub.extra_handlers = [
        (r"/lightbox-static/(.*)", StaticFileHandler, {"path": str(PAGES / "static")}),
    ]
    c.Spawner.options_form = render_form
    c.JupyterHub.default_url = first_page


def first_page(handler: Any) -> str:
    """Lead to the start page whoever has nothing running, to the running workspaces whoever has."""
    user = handler.current_user
    if user is None:
        return ""  # the hub's own way: log in first
    return f"{handler.hub.base_url}{'home' if user.active else 'spawn'}"
