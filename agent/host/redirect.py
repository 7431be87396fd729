"""The firewall rules by which 169.254.170.2 leads to the agent: what is wanted, and what a listing shows. Pure.

Containers of bridge mode come in by PREROUTING; what shares the network of the host, Docker itself too, goes out by
OUTPUT. The agent listens on the loopback, so the kernel must let packets of others be led there (``route_localnet``),
and one more rule keeps all other services of the loopback from them.

A rule of ours is known by its comment, and by where it leads: two agents may be on one machine, and neither touches
what is the other's.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Self

from agent.model.errors import TryAgain

KNOWN_ADDRESS = "169.254.170.2"
PORT = 80
COMMENT = "dockworker"
NAT, FILTER = "nat", "filter"
PREROUTING, OUTPUT, INPUT = "PREROUTING", "OUTPUT", "INPUT"
LOOPBACK = "127.0.0.0/8"
_LOOPBACK_ADDRESS = "127.0.0.1"
_LOOPBACK_BEGINS = "127."


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is wanted."""

    table: str
    chain: str
    words: tuple[str, ...]
    first: bool = False
    """Before all others of the chain, not after them."""

    def to_add(self) -> tuple[str, ...]:
        """What iptables is told to add it."""
        return ("-t", self.table, "-I" if self.first else "-A", self.chain, *self.words)


@dataclass(frozen=True, slots=True)
class Listed:
    """A rule as iptables lists it, without what it is added by."""

    table: str
    chain: str
    words: tuple[str, ...]

    def after(self, option: str) -> str:
        """What stands after *option*; nothing where it is not there, or is negated."""
        at = self.words.index(option) if option in self.words[:-1] else -1
        return self.words[at + 1] if at == 0 or (at > 0 and self.words[at - 1] != "!") else ""

    @property
    def is_ours(self) -> bool:
        """Did an agent of our kind make it?"""
        return self.after("--comment") == COMMENT

    @property
    def leads_to(self) -> str:
        """Where it leads 169.254.170.2, as ``address:port``; nothing where it leads that nowhere."""
        is_it = self.after("-d").removesuffix("/32") == KNOWN_ADDRESS
        if not is_it or self.after("--dport") not in ("", str(PORT)) or self.after("-p") not in ("", "tcp"):
            return ""
        match self.after("-j"):
            case "DNAT":
                return self.after("--to-destination")
            case "REDIRECT":
                host = _LOOPBACK_ADDRESS if self.chain == OUTPUT else "the host"
                return f"{host}:{self.after('--to-ports')}"
            case other:
                return other

    def to_delete(self) -> tuple[str, ...]:
        """What iptables is told to delete it."""
        return ("-t", self.table, "-D", self.chain, *self.words)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where 169.254.170.2 is to lead."""

    address: IPv4Address
    port: int
    filters: bool = True
    """Keep the loopback from whom it is not meant for."""

    @classmethod
    def of(cls, address: str, *, filters: bool) -> Self:
        """The way to *address*, as the agent's settings have it. Raises TryAgain for one that no rule can lead to."""
        host, _, port = address.rpartition(":")
        try:
            read = IPv4Address(_LOOPBACK_ADDRESS if host in ("localhost", "0.0.0.0") else host)  # noqa: S104 -- compared
        except AddressValueError:
            raise TryAgain(f"{KNOWN_ADDRESS} can be led to an address of IPv4 only, and not to {address}") from None
        return cls(read, int(port), filters)

    @property
    def target(self) -> str:
        """Where to, as iptables writes it."""
        return f"{self.address}:{self.port}"

    @property
    def needs_localnet(self) -> bool:
        """Must the kernel let packets of others be led to the loopback?"""
        return self.address.is_loopback

    @property
    def chains(self) -> tuple[tuple[str, str], ...]:
        """The tables and chains that rules are needed in."""
        nat = ((NAT, PREROUTING), (NAT, OUTPUT))
        return (*nat, (FILTER, INPUT)) if self.keeps_others_out else nat

    @property
    def keeps_others_out(self) -> bool:
        """Is the rule needed that keeps the loopback from others?"""
        return self.filters and self.needs_localnet

    def rule(self, chain: str) -> Rule:
        """The rule for *chain*."""
        ours = ("-m", "comment", "--comment", COMMENT)
        to_us = ("-p", "tcp", "-d", KNOWN_ADDRESS, "--dport", str(PORT), *ours)
        match chain:
            case "INPUT":
                led_here = ("-m", "conntrack", "!", "--ctstate", "RELATED,ESTABLISHED,DNAT")
                return Rule(
                    FILTER, INPUT, ("-d", LOOPBACK, "!", "-s", LOOPBACK, *led_here, *ours, "-j", "DROP"), first=True
                )
            case "OUTPUT" if str(self.address) == _LOOPBACK_ADDRESS:
                return Rule(NAT, OUTPUT, (*to_us, "-j", "REDIRECT", "--to-ports", str(self.port)))
            case _:
                return Rule(NAT, chain, (*to_us, "-j", "DNAT", "--to-destination", self.target))


def read(table: str, listing: str) -> Iterator[Listed]:
    """The rules in what ``iptables -S`` prints."""
    for line in listing.splitlines():
        if KNOWN_ADDRESS not in line and _LOOPBACK_BEGINS not in line:
            continue  # thousands may be Docker's
        add, *words = shlex.split(line)
        if add == "-A" and words:
            yield Listed(table, words[0], tuple(words[1:]))


@dataclass(frozen=True, slots=True)
class View:
    """All rules of the chains in question, in their order."""

    rules: tuple[Listed, ...]

    def missing(self, wanted: Wanted) -> list[Rule]:
        """The rules that are to be added."""
        needed = [chain for _, chain in wanted.chains if chain != INPUT and not self._first(chain)]
        if wanted.keeps_others_out and not any(map(_keeps_out, self.rules)):
            needed.insert(0, INPUT)  # before the first stranger may come in
        return [wanted.rule(chain) for chain in needed]

    def others(self, wanted: Wanted) -> list[Listed]:
        """The rules that lead elsewhere, before any that leads to where it is *wanted*."""
        firsts = (self._first(chain) for _, chain in wanted.chains)
        return [one for one in firsts if one is not None and one.leads_to != wanted.target]

    def made_for(self, wanted: Wanted) -> list[Listed]:
        """Our rules, as far as nobody else needs them: what keeps the loopback goes with the last that leads there."""
        leading = [one for one in self.rules if one.is_ours and one.leads_to == wanted.target]
        is_last = not self.uses_loopback_but_for(wanted)
        keeping = [one for one in self.rules if one.is_ours and one.chain == INPUT] if is_last else []
        return leading + keeping

    def uses_loopback_but_for(self, wanted: Wanted) -> bool:
        """Does another rule than ours lead packets of others to the loopback?"""
        led = (one for one in self.rules if one.chain == PREROUTING)
        loopback = (one for one in led if one.after("--to-destination").startswith(_LOOPBACK_BEGINS))
        return any(not (one.is_ours and one.leads_to == wanted.target) for one in loopback)

    def _first(self, chain: str) -> Listed | None:
        return next((one for one in self.rules if one.chain == chain and one.leads_to), None)


def _keeps_out(one: Listed) -> bool:
    """Amazon's own agent makes the same rule, without a comment."""
    return (one.chain, one.after("-d"), one.after("-j")) == (INPUT, LOOPBACK, "DROP") and "--ctstate" in one.words


def in_words(missing: Iterable[Rule], others: Sequence[Listed]) -> list[str]:
    """What people are told."""
    told = [
        f"a rule of somebody else leads {KNOWN_ADDRESS} to {one.leads_to} (iptables -t {one.table} -S {one.chain})"
        for one in others
    ]
    told += [f"the rule is missing in {one.chain} of the table {one.table}" for one in missing]
    return told


def needs_route(table: str) -> bool:
    """Does a machine with this ``/proc/net/route`` not know where to send what goes to 169.254.170.2?"""
    routes = [line.split()[:8] for line in table.splitlines()[1:] if line.strip()]
    return not any(_covers(one) for one in routes)


def _covers(route: Sequence[str]) -> bool:
    """Addresses are in the order of the machine's own bytes, written as hexadecimal numbers."""
    known = int.from_bytes(IPv4Address(KNOWN_ADDRESS).packed, "little")
    destination, mask = int(route[1], 16), int(route[7], 16)
    return known & mask == destination
