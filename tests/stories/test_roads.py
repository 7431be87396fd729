"""An agent that reaches ECS only through a proxy, over TLS, at an endpoint of the operator's choice."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from tests.aws.certificates import Authority
from tests.aws.proxy import Proxy, a_proxy, pour
from tests.stories.house import House, standing, until

NAMES = ("ecs.test", "acs.test", "tcs.test")


@asynccontextmanager
async def over_tls(port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """What listens on *port*, over TLS; gives the port of that."""
    jobs: set[asyncio.Task[object]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        jobs.update(asyncio.ensure_future(each) for each in (pour(reader, back), pour(there, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


@contextmanager
def a_network(port: int, tls: ssl.SSLContext) -> Iterator[Proxy]:
    """A network in which the control plane on *port* is known by three names, and only to a proxy."""
    ready, found = threading.Event(), list[Proxy]()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def live() -> None:
        async with AsyncExitStack() as stack:
            front = await stack.enter_async_context(over_tls(port, tls))
            found.append(await stack.enter_async_context(a_proxy("http", dict.fromkeys(NAMES, front))))
            over = asyncio.Event()
            loops.append((asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        loop, over = loops[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


def test_an_agent_behind_a_proxy_finds_ecs_and_its_pinned_channels(tmp_path: Path) -> None:
    authority = Authority.in_folder(tmp_path / "authority")
    house = House(tmp_path, {})
    with a_network(house.port, authority.server(*NAMES)) as proxy:
        house.agent.environ |= {
            "HTTP_PROXY": f"127.0.0.1:{proxy.port}",
            "AWS_CA_BUNDLE": str(authority.file),
            "ECS_BACKEND_HOST": "ecs.test",
            "DOCKWORKER_AGENT_ENDPOINT": "https://acs.test:8443",
            "DOCKWORKER_TELEMETRY_ENDPOINT": "https://tcs.test:8444/telemetry/",
        }
        with standing(house):
            assert house.instance()["agentConnected"]
            until(lambda: "telemetry_session_begun" in house.plane.log.read_text(), "telemetry")
    assert set(proxy.asked) == {"CONNECT ecs.test:443", "CONNECT acs.test:8443", "CONNECT tcs.test:8444"}
