"""Whether host ports are free, asked of the kernel by binding them for a moment."""

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
                _bind(lease)


def _bind(lease: Lease) -> None:
    kind = socket.SOCK_STREAM if lease.transport is Transport.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if lease.transport is Transport.TCP:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", lease.host_port))
        except OSError as error:
            text = f"{lease.transport} port {lease.host_port} cannot be bound: {error.strerror}"
            raise PortTaken(lease.host_port, text) from error
