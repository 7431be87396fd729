"""Whether this machine reaches the world over IPv4, by its default routes."""

from collections.abc import Sequence
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
    return Routes(bool(_ipv4_defaults(ipv4_table)), bool(_ipv6_defaults(ipv6_table)))


def default_interfaces(ipv4_table: str, ipv6_table: str) -> tuple[str, ...]:
    """The interfaces to which default routes lead, each once. Takes the texts that `routes_of` takes."""
    return tuple(dict.fromkeys((*_ipv4_defaults(ipv4_table), *_ipv6_defaults(ipv6_table))))


def _ipv4_defaults(table: str) -> Sequence[str]:
    """Columns: interface, destination, gateway, flags, references, use, metric, mask, ..."""
    rows = (line.split() for line in table.splitlines()[1:] if line.strip())
    return [row[0] for row in rows if _column(row, 7) == row[1] == NOWHERE_V4 and _leads(row[3])]


def _ipv6_defaults(table: str) -> Sequence[str]:
    """Columns: destination, its prefix, source, its prefix, next hop, metric, references, use, flags, interface."""
    rows = (line.split() for line in table.splitlines() if line.strip())
    return [row[9] for row in rows if _column(row, 9) and row[0] == NOWHERE_V6 and row[1] == "00" and _leads(row[8])]


def _column(row: Sequence[str], index: int) -> str:
    if len(row) <= index:
        raise ValueError(f"a route of {len(row)} columns")
    return row[index]


def _leads(flags: str) -> bool:
    """A kernel without a route lists one that rejects everything."""
    return int(flags, 16) & (UP | REJECTS) == UP
