"""Host ports: which container has which.

A port that the task definition fixes is the user's own affair; one that it leaves open is chosen here, out of the
dynamic range, and belongs to the container until that is known not to run. A range takes ports that follow each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from agent.engine import reasons
from agent.engine.amounts import Port
from agent.model.errors import GiveUp
from agent.model.rules import Rules
from agent.model.task import Binding, ContainerSpec, Lease, PortMapping, Task, Transport

IsTaken = Callable[[Port], bool]

ATTEMPTS = 20
"""How often a container is given another port after one of its own turned out to be in use."""

MOST_BINDINGS = 100
"""How many network bindings of a container ECS takes; a range is one (wire protocol, SubmitTaskStateChange)."""


def held(task: Task) -> Iterator[Port]:
    """The ports that are leased to containers of *task* which may run."""
    for container in task.containers:
        if container.leases and not container.at_rest:
            for lease in container.leases:
                if lease.host_port:
                    yield from ports_of(lease)


def ports_of(lease: Lease) -> Iterator[Port]:
    """Every port of a lease."""
    for port in range(lease.host_port, lease.host_port + lease.count):
        yield lease.transport, port


def without(port: int, leases: Sequence[Lease]) -> tuple[Lease, ...]:
    """*leases*, of which the one with *port* is to be chosen anew: it has no port until then."""
    return tuple(
        replace(lease, host_port=0) if any(number == port for _, number in ports_of(lease)) else lease
        for lease in leases
    )


def are_whole(leases: Sequence[Lease]) -> bool:
    """Has every one of *leases*, of which there are some, its port?"""
    return bool(leases) and all(lease.host_port for lease in leases)


def lease(
    spec: ContainerSpec, rules: Rules, is_taken: IsTaken, draw: str, attempt: int, before: Sequence[Lease] = ()
) -> tuple[Lease, ...]:
    """Host ports for each port mapping. The search begins where *draw* and *attempt* say, and goes round once.

    What was leased *before* is kept: of many ports one was in use, and others would be no better.

    Raises GiveUp where a fixed port is reserved, no port is left, or there are more than ECS can be told of.
    """
    if len(spec.ports) > MOST_BINDINGS:
        raise _give_up(reasons.too_many_bindings(len(spec.ports), MOST_BINDINGS))
    leases: list[Lease] = []
    kept = dict(enumerate(before))
    for number, mapping in enumerate(spec.ports):
        if number in kept and kept[number].host_port:
            leases.append(kept[number])
            continue
        reserved = rules.reserved_tcp if mapping.transport is Transport.TCP else rules.reserved_udp
        if mapping.host_port:
            if forbidden := sorted(reserved.intersection(_numbers(mapping.host_port, mapping.count))):
                raise _give_up(reasons.port_reserved(forbidden[0]))
            leases.append(Lease(mapping.container_port, mapping.host_port, mapping.transport, count=mapping.count))
            continue
        start = int(draw[:8] or "0", 16) + 97 * number + 7919 * attempt
        own = _own(spec, [*leases, *before[number:]], mapping.transport)
        port = _first_free(rules, start, mapping, is_taken, reserved | own)
        leases.append(Lease(mapping.container_port, port, mapping.transport, chosen=True, count=mapping.count))
    return tuple(leases)


def of_bindings(bindings: tuple[Binding, ...]) -> tuple[Lease, ...]:
    """The leases of a container that was found, by the ports that Docker publishes for it. None can be chosen again."""
    shown = dict.fromkeys((b.container_port, b.host_port, b.transport, b.count) for b in bindings)
    return tuple(Lease(port, host_port, transport, count=count) for port, host_port, transport, count in shown)


def grouped(bindings: tuple[Binding, ...], leases: tuple[Lease, ...]) -> tuple[Binding, ...]:
    """*bindings* as ECS is told of them: those of a range as one, and no more than it takes."""
    ranges = {
        (lease.transport, lease.container_port + offset): (lease, offset)
        for lease in leases
        if lease.count > 1
        for offset in range(lease.count)
    }
    told: dict[Binding, None] = {}
    for binding in bindings:
        lease, offset = ranges.get((binding.transport, binding.container_port), (None, 0))
        if lease is None or binding.host_port != lease.host_port + offset:
            told[binding] = None
        else:
            whole = Binding(lease.container_port, lease.host_port, lease.transport, binding.bind_ip, lease.count)
            told[whole] = None
    return tuple(told)[:MOST_BINDINGS]


def _numbers(first: int, count: int) -> range:
    return range(first, first + count)


def _own(spec: ContainerSpec, leases: list[Lease], transport: Transport) -> frozenset[int]:
    """The ports that the container has already, or fixes."""
    mine = (lease for lease in leases if lease.host_port and lease.transport is transport)
    leased = {port for lease in mine for _, port in ports_of(lease)}
    fixed = (one for one in spec.ports if one.transport is transport and one.host_port)
    return frozenset(leased.union(*(_numbers(one.host_port, one.count) for one in fixed)))


def _first_free(rules: Rules, start: int, mapping: PortMapping, is_taken: IsTaken, avoid: frozenset[int]) -> int:
    """The first port, from *start* on, with which as many begin as are asked for. A range does not go round the end."""
    places = rules.last_port - rules.first_port + 2 - mapping.count
    offset = 0
    while offset < places:
        first = rules.first_port + (start + offset) % places
        hit = next(
            (p for p in reversed(_numbers(first, mapping.count)) if p in avoid or is_taken((mapping.transport, p))),
            None,
        )
        if hit is None:
            return first
        # nothing that begins at or before the port in the way is free; from the end it goes on at the beginning
        offset += min(hit - first + 1, places - (first - rules.first_port))
    if mapping.count > 1:
        raise _give_up(reasons.no_free_range(mapping.count, rules.first_port, rules.last_port))
    raise _give_up(reasons.no_free_port(rules.first_port, rules.last_port))


def _give_up(reason: str) -> GiveUp:
    name, _, text = reason.partition(": ")
    return GiveUp(name, text)
