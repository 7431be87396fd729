"""Who is at the other end of a local socket, by the kernel's word (unix(7), SO_PEERCRED)."""

import asyncio
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

ROOT = 0
NOBODY_LOGGED_IN = 2**32 - 1
"""What the kernel says of a process that no login led to."""
NAMES_WITHIN = 0.5
"""Seconds for a directory of users that may be far away: a stop does not wait for a name."""
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that has connected, as it was when it did."""

    pid: int
    uid: int

    @property
    def may_command(self) -> bool:
        """Is it root, or whoever this agent runs as?"""
        return self.uid in (ROOT, os.geteuid())


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end of *connection*. Raises OSError."""
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


async def in_words(peer: Peer) -> str:
    """Who that is: ``uid 0 (root), pid 7, logged in as ann, on this host``, as far as it is known."""
    try:
        async with asyncio.timeout(NAMES_WITHIN):
            name, login = await asyncio.to_thread(_names, peer)
    except TimeoutError:
        name, login = "", ""
    user = f"uid {peer.uid}" + (f" ({name})" if name else "")
    return f"{user}, pid {peer.pid}" + (f", logged in as {login}" if login else "") + ", on this host"


def _names(peer: Peer) -> tuple[str, str]:
    login = _login_of(peer.pid)
    return _name(peer.uid), "" if login in (None, peer.uid) else _name(login) or f"uid {login}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""


def _login_of(pid: int) -> int | None:
    """The user whose login led to the process, whatever it has become since (proc(5), loginuid)."""
    try:
        login = int(Path(f"/proc/{pid}/loginuid").read_text())
    except (OSError, ValueError):
        return None
    return None if login == NOBODY_LOGGED_IN else login
