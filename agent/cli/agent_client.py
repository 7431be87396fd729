"""The way to the agent on this machine: HTTP over the socket in its data directory."""

import http.client
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from agent.cli.settings_file import read_settings
from agent.config.load import BadSettings

SOCKET = "dockworker.sock"
DEV = Path(".dockworker")
"""Where ``dockworker dev`` keeps things unless told otherwise."""
AGENT = "agent"
"""The folder in it that is the agent's."""
PATIENCE = 10.0


def places(data_dir: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """Where an agent's socket may be: in the directory that was named, else where settings and ``dev`` have it."""
    if data_dir is not None:
        return [data_dir / SOCKET, data_dir / AGENT / SOCKET]
    try:
        configured = [read_settings(environ, None).data_dir]
    except BadSettings:
        configured = [Path(environ["ECS_DATADIR"])] if environ.get("ECS_DATADIR") else []
    return [folder / SOCKET for folder in (*configured, DEV / AGENT)]


class Connection(http.client.HTTPConnection):
    """HTTP over a socket in a directory whose name may be longer than that of a socket."""

    def __init__(self, place: Path) -> None:
        super().__init__("agent", timeout=PATIENCE)
        self._place = place

    def connect(self) -> None:
        """Connect by the directory's number."""
        handle = os.open(self._place.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(PATIENCE)
            self.sock.connect(f"/proc/self/fd/{handle}/{self._place.name}")
        finally:
            os.close(handle)
