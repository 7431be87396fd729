"""A task that asks for any host port gets one, whatever else the host does with its sockets.

Fifty starts here, a thousand in ``make soak``; each has a port of TCP or UDP on Docker's bridge. Beside them run
outgoing connections, listeners and senders on ports out of the very range that tasks are given, and TIME_WAIT.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from agent.host.facts_driver import PORT_RANGE, read_port_range
from agent.model.identity import Identity
from agent.model.names import Image
from agent.model.status import Status
from tests.faults.ports import churning, ours, publishing, start_many
from tests.stories.house import free_port
from tests.stories.raw import a_raw_agent

STARTS = 50


def test_no_start_fails_by_an_address_in_use_while_the_host_churns_sockets(
    tmp_path: Path,
    owner: Identity,
    docker_host: str,
    sample_image: Image,
    record_property: Callable[[str, object], None],
) -> None:
    first, last = ours()
    kernels = range(*read_port_range(PORT_RANGE))
    with churning(first, last):
        starts = asyncio.run(start_many(owner, tmp_path, docker_host, STARTS, (first, last)))
    record_property("other ports taken", starts.tries)
    assert starts.failures == ()
    assert len(starts.published) == STARTS
    assert all(first <= port <= last and port not in kernels for port in starts.published)


def test_in_a_range_that_others_have_nearly_filled_a_port_is_still_found(
    tmp_path: Path, owner: Identity, docker_host: str, sample_image: Image
) -> None:
    first = ours()[0] + 2000
    with ExitStack() as held:
        for port in (one for one in range(first, first + 20) if one % 5 > 1):  # three of five
            holder = held.enter_context(socket.socket())
            with suppress(OSError):  # then somebody else has it
                holder.bind(("127.0.0.1", port))
        starts = asyncio.run(start_many(owner, tmp_path, docker_host, 5, (first, first + 19)))
    assert starts.failures == ()


def test_a_fixed_port_in_time_wait_is_published_at_once(tmp_path: Path, owner: Identity, sample_image: Image) -> None:
    port = free_port()
    address = ("127.0.0.1", port)
    with socket.create_server(address) as server, socket.create_connection(address) as caller:
        answering, _ = server.accept()
        answering.close()  # who closes first is left with TIME_WAIT
        assert caller.recv(1) == b""

    async def story() -> tuple[Status, str]:
        async with a_raw_agent(owner, tmp_path) as agent:
            arn = await agent.hear(**publishing({"containerPort": 80, "hostPort": port, "protocol": "tcp"}))
            row = (await agent.settled(arn))["app"]
            return row.known, row.reason

    assert asyncio.run(story()) == (Status.RUNNING, "")
