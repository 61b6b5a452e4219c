"""``python -m hub_config.cli``."""

from hub_config.cli import main

main()
