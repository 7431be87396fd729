"""Addresses to listen at, as the command line writes them."""

import ipaddress
import socket
from dataclasses import dataclass

LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port. Prints as it stands in a URL."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """IPv6 for a host with colons, else IPv4."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT`` or ``[IPV6]:PORT``. Raises ValueError naming the rule."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host:
        host = ""
    if not host or not port.isdecimal() or not 0 <= int(port) <= LAST_PORT:
        raise ValueError(f"{text!r} must be HOST:PORT with a port up to {LAST_PORT}, such as 127.0.0.1:51690")
    return Address(host, int(port))
