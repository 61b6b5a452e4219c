"""The file that JupyterHub loads: opens the instance and lets each floor configure its own part."""

import os
from pathlib import Path

from hub_config.compute.spawners.configuration import configure_servers
from hub_config.instance import running_instance
from hub_config.pages.configuration import configure_pages
from hub_config.people.authenticator import configure_login
from hub_config.services.hub import configure_hub

c = get_config()  # type: ignore[name-defined]  # JupyterHub gives it
instance = running_instance(Path(os.environ["LIGHTBOX_STATE"]))
configure_hub(c, instance)
configure_login(c, instance)
admission = configure_servers(c, instance)
configure_pages(c, instance, admission)
