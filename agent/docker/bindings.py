"""Published ports as an inspect shows them, one by one or as the ranges that were asked for."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import msgspec

from agent.model.task import Binding, PortMapping, Transport

ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 -- as Docker writes them; nothing is bound here
ONLY_IPV4 = frozenset({ANY_IPV6})
"""What is left out where ECS is to hear of IPv4 alone."""


def untold(*, excludes_ipv6: bool, ipv6_only: bool) -> frozenset[str]:
    """The addresses whose bindings ECS is not told. Nobody reaches IPv4 on a machine that lives on IPv6 alone."""
    if ipv6_only:
        return frozenset({ANY_IPV4})
    return ONLY_IPV4 if excludes_ipv6 else frozenset()


class HostPort(msgspec.Struct, rename="pascal"):
    """One end of a binding at the host."""

    host_ip: str = ""
    host_port: str = ""


def read(
    ports: Mapping[str, list[HostPort] | None], asked: tuple[PortMapping, ...], *, untold: Collection[str]
) -> tuple[Binding, ...]:
    """The bindings in order, without the *untold* addresses; what makes up a range that was *asked* for is one."""
    bindings = _one_by_one(ports, untold)
    for mapping in asked:
        if mapping.count > 1:
            bindings = _joined(bindings, mapping)
    return bindings


def _one_by_one(ports: Mapping[str, list[HostPort] | None], untold: Collection[str]) -> tuple[Binding, ...]:
    """Published ports in order. Docker shows each twice, for IPv4 and IPv6."""
    bindings = []
    for port, entries in ports.items():
        number, _, transport = port.partition("/")
        if transport not in (Transport.TCP, Transport.UDP) or not number.isdecimal():
            continue
        bindings += [
            Binding(int(number), int(entry.host_port), Transport(transport), entry.host_ip)
            for entry in entries or ()
            if entry.host_port.isdecimal() and entry.host_ip not in untold
        ]
    return tuple(sorted(bindings, key=lambda b: (b.container_port, b.transport, b.host_port, b.bind_ip)))


def _joined(bindings: tuple[Binding, ...], mapping: PortMapping) -> tuple[Binding, ...]:
    found: dict[tuple[str, int], list[Binding]] = {}
    for one in bindings:
        step = one.container_port - mapping.container_port
        if one.count == 1 and one.transport is mapping.transport and 0 <= step < mapping.count:
            found.setdefault((one.bind_ip, one.host_port - step), []).append(one)
    for ports in found.values():
        if len(ports) == mapping.count:
            bindings = tuple(one for one in bindings if one not in ports[1:])
            bindings = tuple(replace(one, count=mapping.count) if one == ports[0] else one for one in bindings)
    return bindings
