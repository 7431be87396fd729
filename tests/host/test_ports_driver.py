import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.host.ports_driver import PortProbe
from agent.model.errors import PortTaken
from agent.model.task import Lease, Transport

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
V4, V6 = socket.AF_INET, socket.AF_INET6


def check(*leases: Lease) -> None:
    asyncio.run(PortProbe().check(leases))


@contextmanager
def held(family: int, kind: int, address: str) -> Iterator[int]:
    with socket.socket(family, kind) as holder:
        if family == V6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind((address, 0))
        if kind == STREAM:
            holder.listen()
        yield int(holder.getsockname()[1])


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (V4, STREAM, "0.0.0.0"),
        (V4, STREAM, "127.0.0.1"),
        (V6, STREAM, "::"),
        (V6, STREAM, "::1"),
        (V4, DATAGRAM, "0.0.0.0"),
        (V6, DATAGRAM, "::1"),
    ],
)
def test_a_port_that_somebody_holds_on_any_address_is_taken(family: int, kind: int, address: str) -> None:
    transport = Transport.TCP if kind == STREAM else Transport.UDP
    with held(family, kind, address) as port:
        with pytest.raises(PortTaken, match=f"{transport} port {port} cannot be bound: Address already in use") as told:
            check(Lease(80, port, transport, chosen=True))
        assert told.value.port == port
        with pytest.raises(PortTaken) as told:
            check(Lease(80, port - 1, transport, chosen=True, count=2))
        assert told.value.port in (port, port - 1)
    check(Lease(80, port, transport, chosen=True))


def test_the_other_transport_does_not_count_and_a_fixed_port_is_dockers_affair() -> None:
    with held(V4, STREAM, "0.0.0.0") as port:
        check(Lease(80, port, Transport.TCP), Lease(81, port, Transport.UDP, chosen=True))


def test_an_outgoing_connection_takes_its_port_and_the_time_wait_of_a_server_does_not() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            with pytest.raises(PortTaken):
                check(Lease(80, caller.getsockname()[1], chosen=True))
            answering, _ = server.accept()
            answering.close()  # who closes first is left with TIME_WAIT, here the server
            assert caller.recv(1) == b""
    check(Lease(80, port, chosen=True))
