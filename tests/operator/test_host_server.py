"""The address at which those who watch the machine are answered."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import psutil
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from agent.operator import host_server
from agent.operator.addresses_driver import Addresses
from agent.operator.host_server import HostServer
from tests.stories.house import free_port

Ask = Callable[[str], Awaitable[tuple[int, dict[str, str], str]]]


async def page(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"{request.method} page")


async def rest(_request: web.BaseRequest) -> web.Response:
    return web.Response(text="the rest")


async def broken(_request: web.BaseRequest) -> web.Response:
    raise RuntimeError("a bug")


async def long(_request: web.BaseRequest) -> web.Response:
    return web.Response(body=bytes(32 << 20))


async def slow(_request: web.BaseRequest) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


PAGES = {"/v1/page": page, "/broken": broken, "/slow": slow, "/long": long}


async def said(port: int, request: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to raw bytes: a client of HTTP would tidy up the path."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    status, *lines = head.split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def serving(story: Callable[[int], Awaitable[None]]) -> None:
    """Run *story* with the port of a server."""

    async def run() -> None:
        port = free_port()
        server = HostServer(lambda: [("127.0.0.1", port)], PAGES, rest)
        job = asyncio.create_task(server.run())
        async with asyncio.timeout(10):
            while not server.addresses:
                await asyncio.wait({job}, timeout=0.005)
            await story(port)
        job.cancel()
        await asyncio.wait({job})
        assert server.addresses == ()

    asyncio.run(run())


def test_a_path_is_answered_whatever_the_method_and_an_unknown_one_by_the_list() -> None:
    async def story(port: int) -> None:
        assert (await said(port, "GET /v1/page"))[::2] == (200, "GET page")
        assert (await said(port, "POST /v1/page"))[::2] == (200, "POST page")
        assert (await said(port, "HEAD /v1/page"))[::2] == (200, "")
        for unknown in ("/", "/nowhere", "/v1/page/", "/v1/credentials"):
            assert (await said(port, f"GET {unknown}"))[::2] == (200, "the rest")

    serving(story)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//v1//page", "/v1/page"),
        ("/v1/./page?a=b&c", "/v1/page?a=b&c"),
        ("/x/../v1/page/", "/v1/page/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("//", "/"),
    ],
)
def test_a_path_that_is_not_clean_leads_to_the_clean_one(path: str, clean: str) -> None:
    async def story(port: int) -> None:
        status, headers, _ = await said(port, f"GET {path}")
        assert (status, headers["Location"]) == (301, clean)

    serving(story)


def test_a_bug_costs_one_answer_and_is_told() -> None:
    async def story(port: int) -> None:
        assert (await said(port, "GET /broken"))[::2] == (500, "")
        assert (await said(port, "GET /v1/page"))[0] == 200

    with capture_logs() as lines:
        serving(story)

    assert [(line["event"], line["path"]) for line in lines] == [("request_broke", "/broken")]


def test_who_asks_for_nothing_or_waits_too_long_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_server, "PATIENCE", 0.05)

    async def story(port: int) -> None:
        assert (await said(port, "GET /slow"))[0] == 503
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/pa")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    serving(story)


def test_who_does_not_read_what_he_asked_for_is_let_go_and_leaves_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(host_server, "PATIENCE", 0.1)
    monkeypatch.setattr(host_server, "MOST_CONNECTIONS", 1)

    async def story(port: int) -> None:
        with socket.socket() as deaf:
            deaf.setblocking(False)  # noqa: FBT003 -- its only way
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            await loop.sock_sendall(deaf, b"GET /long HTTP/1.1\r\nHost: agent\r\n\r\n")
            while True:  # the story has a bound
                try:
                    status, _, body = await said(port, "GET /v1/page")
                except (ConnectionError, IndexError):  # no room yet
                    continue
                assert (status, body) == (200, "GET page")
                return

    serving(story)
    assert caplog.text == ""


def test_more_connections_than_there_is_room_for_are_closed_and_leave_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(host_server, "MOST_CONNECTIONS", 2)

    async def story(port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        with pytest.raises((ConnectionError, IndexError)):  # dropped, before or after it could ask
            await said(port, "GET /v1/page")
        for reader, writer in held:
            writer.write(b"GET /v1/page HTTP/1.0\r\n\r\n")
            assert b"GET page" in await reader.read()
            writer.close()
        assert (await said(port, "GET /v1/page"))[0] == 200

    serving(story)


def test_a_port_that_is_taken_is_told_and_tried_again() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            waits: list[float] = []

            async def pause(seconds: float) -> None:
                waits.append(seconds)
                if len(waits) == 3:
                    other.close()

            server = HostServer(lambda: [("127.0.0.1", port)], PAGES, rest, pause)
            job = asyncio.create_task(server.run())
            async with asyncio.timeout(10):
                while not server.addresses:
                    await asyncio.wait({job}, timeout=0.005)
            assert (await said(port, "GET /v1/page"))[0] == 200
            assert all(0.8 * longest <= wait <= 1.2 * longest for wait, longest in zip(waits, (1, 2, 4), strict=True))
            job.cancel()
            await asyncio.wait({job})

    with capture_logs() as lines:
        asyncio.run(story())

    assert [(line["event"], line["log_level"]) for line in lines] == [("health_address_not_opened", "warning")] * 3


def test_by_default_it_is_the_address_alone_and_the_operator_may_open_it() -> None:
    assert Addresses("127.0.0.1:51678")() == [("127.0.0.1", 51678)]
    assert Addresses("[::1]:1")() == [("::1", 1)]
    assert ("0.0.0.0", 51678) in Addresses("127.0.0.1:51678", offhost=True)()
    own = next(one.address for one in psutil.net_if_addrs()["lo"] if one.family is socket.AF_INET)
    assert ("127.0.0.1", 9) in Addresses("127.0.0.1:9", offhost=True, interface="lo")()
    assert (own, 9) in Addresses("127.0.0.2:9", offhost=True, interface="lo")()


def test_an_interface_that_is_not_there_yet_is_said() -> None:
    with pytest.raises(OSError, match="nowhere0 has no address"):
        Addresses("127.0.0.1:9", offhost=True, interface="nowhere0")()


def test_opened_to_the_network_it_is_answered_at_every_address_of_both_kinds() -> None:
    async def story() -> None:
        port = free_port()
        server = HostServer(Addresses(f"127.0.0.1:{port}", offhost=True), PAGES, rest)
        job = asyncio.create_task(server.run())
        async with asyncio.timeout(10):
            while not server.addresses:
                await asyncio.wait({job}, timeout=0.005)
            for address in ("127.0.0.1", "127.0.0.2", "::1"):
                reader, writer = await asyncio.open_connection(address, port)
                writer.write(b"GET /v1/page HTTP/1.0\r\n\r\n")
                assert b"GET page" in await reader.read()
                writer.close()
        job.cancel()
        await asyncio.wait({job})

    asyncio.run(story())
