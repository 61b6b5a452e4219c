"""Who may start what, with which data and which GPU: the half of Lightbox that runs on the host.

Floors from the ground up: errors, settings, instance, database, record, people, data, compute,
services, pages, cli. A module imports from its own floor or the floors below, never above.
"""

__version__ = "0.1.0"
