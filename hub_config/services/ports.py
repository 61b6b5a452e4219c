"""Ports of this machine: whether one can be had, and who holds it if not."""

from __future__ import annotations

import socket
from pathlib import Path

from hub_config.errors import StateError


def check_port(address: str, port: int) -> None:
    """Refuse a port that somebody else holds.

    Raises
    ------
    StateError
        Naming the program that holds it, where that can be seen.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            holder = _port_holder(port)
            by = f" by {holder}" if holder else ""
            raise StateError(
                f"Port {port} on {address} cannot be used: {str(error.strerror).lower()}{by}. "
                "Choose another with --port, for example: ./lightbox up --port 8080"
            ) from error


def _port_holder(port: int) -> str | None:
    """Return name and number of the process that listens on ``port``, if this account may see it."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        file = Path("/proc/net") / table
        lines = file.read_text(encoding="ascii").splitlines()[1:] if file.exists() else []
        rows = [line.split() for line in lines]
        inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            links = {str(link.readlink()) for link in (process / "fd").iterdir()}
            if links & {f"socket:[{inode}]" for inode in inodes}:
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return None
