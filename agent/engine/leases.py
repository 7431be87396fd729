"""Host ports: which container has which.

A port that the task definition fixes is the user's own affair; one that it leaves open is chosen here, out of the
dynamic range, and belongs to the container until that is known not to run.
"""

from collections.abc import Callable, Iterator

from agent.engine import reasons
from agent.model.errors import GiveUp
from agent.model.rules import Rules
from agent.model.task import Binding, ContainerSpec, Lease, Task, Transport

Port = tuple[Transport, int]
IsTaken = Callable[[Port], bool]

ATTEMPTS = 5
"""How often a container is given other ports after one of its own turned out to be in use."""


def held(task: Task) -> Iterator[Port]:
    """The ports that are leased to containers of *task* which may run."""
    for container in task.containers:
        if container.leases and not container.at_rest:
            for lease in container.leases:
                yield lease.transport, lease.host_port


def lease(spec: ContainerSpec, rules: Rules, is_taken: IsTaken, draw: str, attempt: int) -> tuple[Lease, ...]:
    """A host port for each port mapping. The search begins where *draw* and *attempt* say, and goes round once.

    Raises GiveUp where a fixed port is reserved, or no port is left.
    """
    leases: list[Lease] = []
    for number, mapping in enumerate(spec.ports):
        reserved = rules.reserved_tcp if mapping.transport is Transport.TCP else rules.reserved_udp
        if mapping.host_port:
            if mapping.host_port in reserved:
                raise _give_up(reasons.port_reserved(mapping.host_port))
            leases.append(Lease(mapping.container_port, mapping.host_port, mapping.transport))
            continue
        mine = {lease.host_port for lease in leases if lease.transport is mapping.transport}
        mine |= {other.host_port for other in spec.ports if other.transport is mapping.transport}
        start = int(draw[:8] or "0", 16) + 97 * number + 7919 * attempt
        port = _first_free(rules, start, mapping.transport, is_taken, reserved | mine)
        leases.append(Lease(mapping.container_port, port, mapping.transport, chosen=True))
    return tuple(leases)


def of_bindings(bindings: tuple[Binding, ...]) -> tuple[Lease, ...]:
    """The leases of a container that was found, by the ports that Docker publishes for it. None can be chosen again."""
    shown = dict.fromkeys((b.container_port, b.host_port, b.transport) for b in bindings)
    return tuple(Lease(*one) for one in shown)


def _first_free(rules: Rules, start: int, transport: Transport, is_taken: IsTaken, avoid: frozenset[int]) -> int:
    size = rules.last_port - rules.first_port + 1
    for offset in range(size):
        port = rules.first_port + (start + offset) % size
        if port not in avoid and not is_taken((transport, port)):
            return port
    raise _give_up(reasons.no_free_port(rules.first_port, rules.last_port))


def _give_up(reason: str) -> GiveUp:
    name, _, text = reason.partition(": ")
    return GiveUp(name, text)
