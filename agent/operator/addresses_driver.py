"""Where those who watch the machine are answered: on loopback, or at the addresses of the host as well."""

import socket
from dataclasses import dataclass

import psutil

OFF = "off"
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Gives the addresses; reads the host's links where those of one alone are meant. May block.

    `address` is ``host:port``. With `offhost` it is every address with that port, or, where `interface` is named, those
    of that one and the loopback address.
    """

    address: str
    offhost: bool = False
    interface: str = ""

    def __call__(self) -> list[tuple[str, int]]:
        """What to listen at, now. Raises OSError where the interface has no address."""
        host, _, port = self.address.rpartition(":")
        own = (host.strip("[]"), int(port))
        if not self.offhost:
            return [own]
        if not self.interface:
            return [("0.0.0.0", own[1]), ("::", own[1])] if socket.has_dualstack_ipv6() else [("0.0.0.0", own[1])]  # noqa: S104 -- the operator's wish
        found = [
            one.address
            for one in psutil.net_if_addrs().get(self.interface, [])
            if one.family in (socket.AF_INET, socket.AF_INET6)
        ]
        if not found:
            raise OSError(f"the interface {self.interface} has no address")
        return [own, *((one, own[1]) for one in found if one != own[0])]
