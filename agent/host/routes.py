"""Whether this machine reaches the world over IPv4, by its default routes."""

from collections.abc import Iterable
from dataclasses import dataclass

UP, REJECTS = 0x1, 0x200
"""Flags of a route in the kernel's tables."""
NOWHERE_V4 = "00000000"
NOWHERE_V6 = "0" * 32


@dataclass(frozen=True, slots=True)
class Routes:
    """Is there a default route, over any link?"""

    ipv4: bool
    ipv6: bool


def ipv6_only(compatibility: str, routes: Routes | None) -> bool:
    """Does the machine reach nothing over IPv4? What the operator says (``ipv4`` or ``ipv6``) beats what is seen.

    Where nothing can be seen, IPv4 is taken to work; so it is where there is no default route at all.
    """
    if compatibility:
        return compatibility == "ipv6"
    return routes is not None and routes.ipv6 and not routes.ipv4


def routes_of(ipv4_table: str, ipv6_table: str) -> Routes:
    """The default routes in the text of ``/proc/net/route`` and ``/proc/net/ipv6_route``. Raises ValueError."""
    return Routes(any(_ipv4_defaults(ipv4_table.splitlines()[1:])), any(_ipv6_defaults(ipv6_table.splitlines())))


def _ipv4_defaults(lines: Iterable[str]) -> Iterable[bool]:
    """Columns: interface, destination, gateway, flags, references, use, metric, mask, ..."""
    for fields in filter(None, map(str.split, lines)):
        _, destination, _, flags, _, _, _, mask, *_ = fields
        yield destination == NOWHERE_V4 == mask and _leads(flags)


def _ipv6_defaults(lines: Iterable[str]) -> Iterable[bool]:
    """Columns: destination, its prefix, source, its prefix, next hop, metric, references, use, flags, interface."""
    for fields in filter(None, map(str.split, lines)):
        destination, prefix, _, _, _, _, _, _, flags, _ = fields
        yield destination == NOWHERE_V6 and prefix == "00" and _leads(flags)


def _leads(flags: str) -> bool:
    """A kernel without a route lists one that rejects everything."""
    return int(flags, 16) & (UP | REJECTS) == UP
