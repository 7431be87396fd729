"""The commands by which faults are made in a network, and unmade: nothing is run here.

A black hole is a chain of iptables that drops; the jump to it is its last command, so that nothing happens before all
is there. Latency and loss are a tree of tc on an interface: ``1:1`` leads to a hundred leaves among which flows are
spread by their hash, as many of them are netem as percents of the flows are meant, and filters send there what goes to
the sources.

========  ==========================================================
handle    what it is
========  ==========================================================
``1:``    the root; all that no filter names goes past the fault
``10:``   ten bands, each with
``100:``  one of ten times ten bands, up to ``109:``, each with
``200:``  one netem, up to ``263:`` (hexadecimal in tc's eyes)
========  ==========================================================
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from agent.model.faults import Blackhole, Fault, FaultKind, Latency, PacketLoss, Traffic
from agent.model.task import Transport

Command = tuple[str, ...]

IPV4, IPV6 = "iptables", "ip6tables"
PATIENT = ("-w", "5")
"""Wait up to five seconds for whoever else changes rules."""
EVERYWHERE = {IPV4: "0.0.0.0/0", IPV6: "::/0"}
PARENTS = {Traffic.INGRESS: "INPUT", Traffic.EGRESS: "OUTPUT"}
CHAIN = re.compile(r"-N (ingress|egress)-(tcp|udp)-(\d{1,5})")

BANDS = 10
PAST = ("2",) * 16
"""Every priority goes to the third band, where no fault is."""
WAY_ROUND, INTO_FAULT = "1:3", "1:1"


@dataclass(frozen=True, slots=True)
class Lifeline:
    """Where containers find their metadata and credentials, and whence they tell us to end a fault: never cut."""

    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Does it mean another place in each network?"""
        return ip_address(self.address).is_loopback


CONTAINERS_OWN = Lifeline("169.254.170.2", 80)


def lifelines(task_address: str) -> tuple[Lifeline, ...]:
    """That of every container, and where we listen ourselves (``host:port``; a name or ``off`` says nothing more)."""
    host, _, port = task_address.rpartition(":")
    try:
        address = str(ip_address(host.strip("[]")))
    except ValueError:
        return (CONTAINERS_OWN,)
    return tuple(dict.fromkeys((CONTAINERS_OWN, Lifeline(address, int(port)))))


# black holes


def chain(fault: Blackhole) -> str:
    """The name of the chain."""
    return f"{fault.traffic}-{fault.transport}-{fault.port}"


def is_there(fault: Blackhole) -> Command:
    """Succeeds where the black hole is."""
    return (IPV4, *PATIENT, "-C", chain(fault), "-p", fault.transport, "--dport", str(fault.port), "-j", "DROP")


def begin(tool: str, fault: Blackhole, kept: Iterable[Lifeline], *, host: bool) -> tuple[Command, ...]:
    """Make the black hole. What is spared goes back to the rules that are there anyway, and so is not let in by us."""
    port, name = str(fault.port), chain(fault)
    add = (tool, *PATIENT, "-A", name, "-p", fault.transport)
    side = "-s" if fault.traffic is Traffic.INGRESS else "-d"
    spared = [(*add, side, one, "--dport", port, "-j", "RETURN") for one in fault.spared if family(one) == tool]
    return (
        (tool, *PATIENT, "-N", name),
        *(
            (*add, *rule, "-j", "RETURN")
            for line in kept
            if family(line.address) == tool and (host or not line.is_loopback)
            for rule in _to_and_from(line, fault, host=host)
        ),
        *dict.fromkeys(spared),
        (*add, "-d", EVERYWHERE[tool], "--dport", port, "-j", "DROP"),
        (tool, *PATIENT, "-I", PARENTS[fault.traffic], "-j", name),
    )


def end(tool: str, fault: Blackhole) -> tuple[Command, ...]:
    """Unmake it. The first command alone lets everything through again."""
    name = chain(fault)
    return (
        (tool, *PATIENT, "-F", name),
        (tool, *PATIENT, "-D", PARENTS[fault.traffic], "-j", name),
        (tool, *PATIENT, "-X", name),
    )


def black_holes(rules: str) -> tuple[Blackhole, ...]:
    """Those in *rules*, as ``iptables -S`` prints them: whole ones and halves of one, but nobody else's chain."""
    lines = rules.splitlines()
    found = []
    for line in lines:
        if not (match := CHAIN.fullmatch(line)) or int(match[3]) > 65535:  # noqa: PLR2004 -- the last port
            continue
        fault = Blackhole(int(match[3]), Transport(match[2]), Traffic(match[1]))
        inside = [one.split() for one in lines if one.startswith(f"-A {chain(fault)} ")]
        if all("--dport" in one and one[-1] in ("DROP", "RETURN", "ACCEPT") for one in inside):
            found.append(fault)
    return tuple(found)


def _to_and_from(line: Lifeline, fault: Blackhole, *, host: bool) -> Iterator[Command]:
    """Questions go to *line*; answers come from it to whatever port the asker happens to have."""
    if fault.transport is not Transport.TCP:
        return
    if fault.port == line.port and (host or fault.traffic is Traffic.EGRESS):
        yield ("-d", line.address, "--dport", str(fault.port))
    if host or fault.traffic is Traffic.INGRESS:
        yield ("-s", line.address, "--sport", str(line.port), "--dport", str(fault.port))


# latency and loss


def look(device: str) -> Command:
    """Shows which fault is on *device*, see `flaw`."""
    return ("tc", "-j", "q", "show", "dev", device, "parent", "100:1")


def flaw(shown: str) -> FaultKind | None:
    """The fault in what `look` printed; raises ValueError for what makes no sense."""
    entries: Any = json.loads(shown or "[]")
    if not isinstance(entries, list):
        raise ValueError("tc printed no list")  # noqa: TRY004 -- the text is wrong, not our type
    for entry in entries:
        if isinstance(entry, dict) and entry.get("kind") == "netem" and isinstance(entry.get("options"), dict):
            return FaultKind.LOSS if "loss-random" in entry["options"] else FaultKind.LATENCY
    return None


def spread(device: str, fault: Latency | PacketLoss, kept: Iterable[Lifeline]) -> tuple[Command, ...]:
    """Make the fault on *device*. A source that covers a lifeline does not reach it."""
    add = ("tc", "qdisc", "add", "dev", device)
    lines = [one.address for one in kept if not one.is_loopback and _is_met(one.address, fault.sources)]
    return (
        (*add, "root", "handle", "1:", "prio", "priomap", *PAST),
        (*add, "parent", "1:1", "handle", "10:", *_bands()),
        *((*add, "parent", f"10:{i + 1:x}", "handle", f"{100 + i}:", *_bands()) for i in range(BANDS)),
        *(
            (*add, "parent", f"{100 + i // BANDS}:{i % BANDS + 1:x}", "handle", f"{200 + i}:", *_netem(fault))
            for i in range(fault.flows)
        ),
        *(_filter(device, 1, one, WAY_ROUND) for one in dict.fromkeys((*lines, *fault.spared))),
        *(_filter(device, 2, one, INTO_FAULT) for one in fault.sources),
        _hash(device, "10:", 1, "10:1"),
        *(_hash(device, f"{100 + i}:", i + 1, f"{100 + i}:1") for i in range(BANDS)),
    )


def gather(device: str) -> tuple[Command, ...]:
    """Unmake whichever fault is on *device*."""
    remove = ("tc", "qdisc", "del", "dev", device)
    return (
        (*remove, "parent", "1:1", "handle", "10:"),
        (*remove, "root", "handle", "1:", "prio"),
    )


def family(source: str) -> str:
    """The tool for rules about *source*, an address or a network."""
    return IPV6 if ":" in source else IPV4


def _bands() -> Command:
    return ("prio", "bands", str(BANDS), "priomap", *PAST)


def _netem(fault: Latency | PacketLoss) -> Command:
    if isinstance(fault, Latency):
        return ("netem", "delay", f"{fault.delay}ms", f"{fault.jitter}ms")
    return ("netem", "loss", f"{fault.percent}%")


def _filter(device: str, order: int, source: str, flow: str) -> Command:
    words = ("protocol", "all", "parent", "1:0", "prio", str(order))
    which = "ip6" if family(source) == IPV6 else "ip"
    return ("tc", "filter", "add", "dev", device, *words, "u32", "match", which, "dst", source, "flowid", flow)


def _hash(device: str, parent: str, handle: int, base: str) -> Command:
    keys = ("keys", "src,dst,proto,proto-src,proto-dst", "divisor", str(BANDS), "baseclass", base)
    words = ("protocol", "all", "parent", parent, "handle", str(handle), "prio", "2")
    return ("tc", "filter", "add", "dev", device, *words, "flow", "hash", *keys)


def _is_met(address: str, sources: Sequence[str]) -> bool:
    return any(ip_address(address) in ip_network(one, strict=False) for one in sources)


def same(one: Fault) -> tuple[object, ...]:
    """What tells two faults of one network apart: a port is cut in four ways, and a network is slow or it is not."""
    return (one.kind, chain(one)) if isinstance(one, Blackhole) else (one.kind,)
