"""Whether host ports are free, asked of the kernel by binding them for a moment."""

import errno
import socket
from collections.abc import Sequence

from agent.model.errors import PortTaken
from agent.model.task import Lease, Transport


class PortProbe:
    """Binds and lets go. What is free now may be taken a moment later: Docker has the last word."""

    async def check(self, leases: Sequence[Lease]) -> None:
        """Return if every port that the agent chose can be bound now. Raises PortTaken naming the first that cannot."""
        for lease in leases:
            if lease.chosen:
                for port in range(lease.host_port, lease.host_port + lease.count):
                    _bind(port, lease.transport)


def _bind(port: int, transport: Transport) -> None:
    """Docker publishes a port on every address of the host, of IPv4 and of IPv6."""
    try:
        with _socket(socket.AF_INET, transport) as probe:
            probe.bind(("", port))
        with _socket(socket.AF_INET6, transport) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(("", port))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return  # a host without IPv6 publishes nothing there
        raise PortTaken(port, f"{transport} port {port} cannot be bound: {error.strerror}") from error


def _socket(family: socket.AddressFamily, transport: Transport) -> socket.socket:
    if transport is Transport.UDP:
        return socket.socket(family, socket.SOCK_DGRAM)
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Docker does: TIME_WAIT of a server is no hindrance
    return probe
