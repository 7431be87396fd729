"""The rules of port mappings, single ports and ranges (API: PortMapping)."""

import re
from collections.abc import Iterable
from itertools import pairwise

from agent.controlplane.faults import client
from agent.controlplane.honoured import refuse_the_rest
from agent.controlplane.records import JsonObject

PORTS = range(65_536)
MOST_RANGES = 100
RANGE = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)
PORT_MEMBERS = frozenset(("containerPort", "hostPort", "protocol", "name", "containerPortRange"))


def read_ports(given: Iterable[JsonObject], mode: str, where: str) -> list[JsonObject]:
    """The port mappings of a container as they read back. Raises ClientException."""
    ports = [_read_port(port, mode, where) for port in given]
    _check_together(ports, where)
    return ports


def _read_port(given: JsonObject, mode: str, where: str) -> JsonObject:
    refuse_the_rest(given, PORT_MEMBERS, f"in a port mapping {where}")
    if mode == "none":
        raise client(f"portMappings {where} cannot be used with networkMode none.")
    if given.get("containerPortRange"):
        return _read_range(given, mode, where)
    port = given.get("containerPort", 0)
    host_port = given.get("hostPort", port if mode == "host" else 0)
    if port not in PORTS or port == 0:
        raise client(f"containerPort {where} must be between 1 and 65535.")
    if host_port not in PORTS:
        raise client(f"hostPort {where} must be between 0 and 65535.")
    if mode == "host" and host_port not in (0, port):
        raise client(f"hostPort {where} must be empty or equal to containerPort with networkMode host.")
    read = {**given, "containerPort": port, "hostPort": port if mode == "host" else host_port}
    return {"protocol": "tcp", **read}


def _read_range(given: JsonObject, mode: str, where: str) -> JsonObject:
    if mode != "bridge":
        raise client(f"containerPortRange {where} cannot be used with networkMode {mode}.")
    for member in ("containerPort", "hostPort"):
        if given.get(member):
            raise client(f"{member} {where} cannot be used beside containerPortRange.")
    found = RANGE.fullmatch(given["containerPortRange"])
    if not found or not 1 <= int(found[1]) < int(found[2]) < PORTS.stop:
        raise client(f"containerPortRange {where} must be a first and a last port between 1 and 65535, such as 80-90.")
    return {"protocol": "tcp", **{member: value for member, value in given.items() if value}}


def _check_together(ports: list[JsonObject], where: str) -> None:
    ranges = sorted(_ends(port["containerPortRange"]) for port in ports if "containerPortRange" in port)
    if len(ranges) > MOST_RANGES:
        raise client(f"portMappings {where} must hold at most {MOST_RANGES} port ranges.")
    if any(first <= before for (_, before), (first, _) in pairwise(ranges)):
        raise client(f"The port ranges {where} must not overlap.")
    transports: dict[int, str] = {}
    for port in ports:
        number = port.get("containerPort")
        if number is None:
            continue
        if transports.setdefault(number, port["protocol"]) != port["protocol"]:
            raise client(f"containerPort {number} {where} cannot be both tcp and udp.")
        if any(first <= number <= last for first, last in ranges):
            raise client(f"containerPort {number} {where} is in a port range as well.")


def _ends(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)
