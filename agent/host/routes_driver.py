"""Reads the kernel's routes."""

from pathlib import Path

from structlog import get_logger

from agent.host.routes import Routes, routes_of

log = get_logger()

NETWORK = Path("/proc/net")


def read_routes(network: Path = NETWORK) -> Routes | None:
    """The default routes of this machine; None where they cannot be read. A kernel without IPv6 has no such table."""
    ipv6 = network / "ipv6_route"
    try:
        return routes_of((network / "route").read_text(), ipv6.read_text() if ipv6.exists() else "")
    except (OSError, ValueError) as error:
        log.warning("routes_unreadable", error=str(error))
        return None
