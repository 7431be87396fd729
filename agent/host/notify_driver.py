"""What systemd is told: that the service is ready, that it is alive, that it is stopping.

The protocol is one datagram of ``NAME=value`` lines to the socket in ``NOTIFY_SOCKET`` (systemd, sd_notify(3)). A name
that begins with ``@`` lies in the abstract namespace. Without the variable nobody listens and nothing is sent.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

log = structlog.get_logger(__name__)

PINGS_PER_DEADLINE = 2
"""sd_watchdog_enabled(3) recommends to notify at half the time that the watchdog allows."""


@dataclass(slots=True)
class Notify:
    """The line to systemd. A send that fails is logged and harms nobody: the watchdog's own patience decides."""

    address: str = ""
    watchdog: timedelta | None = None
    """After this long without a sign of life systemd kills the service; None if it does not watch."""
    is_ready: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int) -> "Notify":
        """What the variables of systemd say. A watchdog that is meant for another process is not ours to feed."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", "") in ("", str(pid))
        watched = microseconds.isdecimal() and int(microseconds) > 0 and is_ours
        return cls(
            address=environ.get("NOTIFY_SOCKET", ""),
            watchdog=timedelta(microseconds=int(microseconds)) if watched else None,
        )

    def ready(self, status: str) -> None:
        """Start-up is over; *status* shows in ``systemctl status``."""
        self.is_ready = True
        self._send("READY=1", f"STATUS={status}")

    def alive(self) -> None:
        """The event loop turns. Before `ready` this also asks for more time to start: ECS may be out of reach."""
        if self.is_ready or self.watchdog is None:
            self._send("WATCHDOG=1")
        else:
            self._send("WATCHDOG=1", f"EXTEND_TIMEOUT_USEC={self.watchdog // timedelta(microseconds=1)}")

    def draining(self, left: int, patience: timedelta) -> None:
        """We stop, and first let *left* tasks end: there is progress, so systemd is to wait *patience* more."""
        more = patience // timedelta(microseconds=1)
        status = f"STATUS=draining; tasks that are still to end: {left}"
        self._send("WATCHDOG=1", f"EXTEND_TIMEOUT_USEC={more}", status)

    def stopping(self) -> None:
        """We were told to stop and are about to."""
        self._send("STOPPING=1", "STATUS=stopping; containers keep running")

    def _send(self, *lines: str) -> None:
        if not self.address:
            return
        where = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.settimeout(0)  # a full queue must not stop the loop that we vouch for
                line.sendto("\n".join(lines).encode(), where)
        except OSError as error:
            log.warning("systemd_not_told", message=lines[0], error=os.strerror(error.errno or 0))


async def feed_watchdog(notify: Notify, told_to_stop: asyncio.Event) -> None:
    """Say that we are alive as long as this event loop turns. Returns when told to stop, after saying so."""
    while notify.watchdog is not None and not told_to_stop.is_set():
        notify.alive()
        try:
            async with asyncio.timeout(notify.watchdog.total_seconds() / PINGS_PER_DEADLINE):
                await told_to_stop.wait()
        except TimeoutError:
            continue
    await told_to_stop.wait()
    notify.stopping()
