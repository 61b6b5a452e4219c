"""Where the parts of a checkout are."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "hub_config" / "pages"
SERVICES = ROOT / "hub_config" / "services"
# .venv of a checkout in root's home is a link to where unprivileged users may read it: see ./lightbox.
VENV = Path(sys.prefix).resolve()
