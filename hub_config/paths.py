"""Where the parts of a checkout are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "hub_config" / "pages"
SERVICES = ROOT / "hub_config" / "services"
