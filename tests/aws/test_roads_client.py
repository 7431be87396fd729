"""Calls and WebSockets through real proxies, over TLS with an authority that only this test knows."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMessage, web

from agent.acs.settings import AcsSettings
from agent.aws.ecs_client import EcsClient, EcsSettings
from agent.aws.failures import EcsError
from agent.aws.roads_client import Roads
from agent.aws.trust_driver import trust
from agent.model.errors import BadInput
from agent.sockets.client import CannotConnect, Connection, dial
from tests.aws.certificates import Authority
from tests.aws.peers import INSTANCE, REGION, EcsPeer, FixedKeys, run
from tests.aws.proxy import Proxy, a_proxy

ANSWER = {"endpoint": "http://acs.test/"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.in_folder(tmp_path / "authority")


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    message: WSMessage = await ws.receive()
    await ws.send_str(f"{request.host} heard {message.data}")
    await ws.close()
    return ws


@asynccontextmanager
async def a_service(tls: ssl.SSLContext | None) -> AsyncIterator[tuple[EcsPeer, int]]:
    """ECS and ACS in one, on a free port of loopback."""
    peer = EcsPeer().will(ANSWER)
    app = web.Application()
    app.router.add_post("/", peer.answer)
    app.router.add_get("/ws", echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield peer, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def dialled(url: str, roads: Roads) -> Connection:
    settings = AcsSettings("demo", INSTANCE, agent_version="1", agent_hash="a")
    return await dial(url, {}, settings, road=roads.to_socket)


async def said_through(connection: Connection) -> str | bytes:
    try:
        await connection.send("hello")
        return await connection.receive()
    finally:
        await connection.drop()


@asynccontextmanager
async def proxied(
    authority: Authority, kind: str, *, tls: bool = True, user: str = ""
) -> AsyncIterator[tuple[EcsPeer, Proxy, Roads]]:
    server = authority.server("ecs.test") if tls else None
    door = authority.server("127.0.0.1") if kind == "https" else None
    async with a_service(server) as (peer, port), a_proxy(kind, {"ecs.test": port}, tls=door, user=user) as proxy:
        who = f"{user}@" if user else ""
        environ = {"HTTPS_PROXY": f"{kind}://{who}127.0.0.1:{proxy.port}", "HTTP_PROXY": ""}
        if not tls:
            environ = {"http_proxy": environ["HTTPS_PROXY"]}
        yield peer, proxy, Roads(trust(authority.file, {}), environ)


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
def test_calls_and_sockets_go_through_a_proxy_that_alone_knows_the_name(authority: Authority, kind: str) -> None:
    async def story() -> None:
        async with proxied(authority, kind) as (peer, proxy, roads):
            async with EcsClient.open(
                EcsSettings(REGION, "ua", "https://ecs.test:8443"), FixedKeys(), roads=roads
            ) as e:
                assert (await e.discover("demo", INSTANCE)).endpoint == ANSWER["endpoint"]
            assert peer.calls[0].signed
            connection = await dialled("https://ecs.test:8443/ws", roads)
            assert await said_through(connection) == "ecs.test:8443 heard hello"
            word = "SOCKS5" if kind == "socks5" else "CONNECT"
            assert proxy.asked == [f"{word} ecs.test:8443"] * 2

    run(story())


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_a_socket_without_tls_has_a_tunnel_too(authority: Authority, kind: str) -> None:
    async def story() -> None:
        async with proxied(authority, kind, tls=False) as (_, proxy, roads):
            assert await said_through(await dialled("http://ecs.test/ws", roads)) == "ecs.test heard hello"
            assert proxy.asked[0].endswith(" ecs.test:80")

    run(story())


@pytest.mark.parametrize(("kind", "asked"), [("http", "POST http://ecs.test/"), ("socks5", "SOCKS5 ecs.test:80")])
def test_a_call_without_tls_is_sent_as_proxies_expect_it(authority: Authority, kind: str, asked: str) -> None:
    async def story() -> None:
        async with proxied(authority, kind, tls=False) as (peer, proxy, roads):
            async with EcsClient.open(EcsSettings(REGION, "ua", "http://ecs.test"), FixedKeys(), roads=roads) as ecs:
                assert (await ecs.discover("demo", INSTANCE)).endpoint == ANSWER["endpoint"]
            assert proxy.asked == [asked]
            assert peer.calls[0].signed

    run(story())


def test_a_proxy_is_told_who_we_are_and_one_that_refuses_us_is_named_as_the_cause(authority: Authority) -> None:
    async def story() -> None:
        async with proxied(authority, "http", user="me:s%40cret") as (_, proxy, roads):
            with pytest.raises(CannotConnect, match="407") as caught:
                await dialled("https://ecs.test/ws", roads)
            settings = EcsSettings(REGION, "ua", "https://ecs.test", attempts=1)
            async with EcsClient.open(settings, FixedKeys(), roads=roads) as ecs:
                with pytest.raises(EcsError, match="407") as refused:
                    await ecs.discover("demo", INSTANCE)
            assert "cret" not in f"{caught.value} {refused.value}"
            proxy.user = "me:s@cret"
            assert await said_through(await dialled("https://ecs.test/ws", roads)) == "ecs.test heard hello"
            async with EcsClient.open(EcsSettings(REGION, "ua", "https://ecs.test"), FixedKeys(), roads=roads) as ecs:
                assert (await ecs.discover("demo", INSTANCE)).endpoint == ANSWER["endpoint"]

    run(story())


def test_this_machine_is_reached_without_the_proxy(authority: Authority) -> None:
    async def story() -> None:
        async with a_service(None) as (_, port), a_proxy("http", {}) as proxy:
            roads = Roads(None, {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"})
            url = f"http://127.0.0.1:{port}"
            async with EcsClient.open(EcsSettings(REGION, "ua", url), FixedKeys(), roads=roads) as ecs:
                await ecs.discover("demo", INSTANCE)
            await said_through(await dialled(f"{url}/ws", roads))
            assert proxy.asked == []

    run(story())


@pytest.mark.parametrize("proxy", ["ftp://h:1", "socks4://h:1", "http://", "http://user:secret@:3128", "http://h:x"])
def test_a_proxy_of_no_known_kind_is_refused_by_the_name_of_its_variable_alone(proxy: str) -> None:
    roads = Roads(None, {"https_proxy": proxy, "NO_PROXY": "*"})
    with pytest.raises(BadInput, match=r"^https_proxy: must be an http, https or socks5 URL with a host$"):
        roads.check()

    async def story() -> None:
        with pytest.raises(CannotConnect, match="https_proxy"):
            await dialled("https://ecs.test/ws", Roads(None, {"https_proxy": proxy}))

    run(story())


def test_proxies_of_every_known_kind_and_none_at_all_pass_the_check() -> None:
    for proxy in ("", "h:3128", "http://h", "https://h:1", "socks5://u:p@h:1", "socks5h://h", "HTTP://h"):
        Roads(None, {"HTTP_PROXY": proxy}).check()


WHYS = ("unable to get local issuer certificate", "IP address mismatch")


async def outcome(roads: Roads, port: int, host: str = "localhost") -> str:
    """``trusted``, or why a call and a socket alike did not get through."""
    url = f"https://{host}:{port}"
    try:
        async with EcsClient.open(EcsSettings(REGION, "ua", url, attempts=1), FixedKeys(), roads=roads) as ecs:
            await ecs.discover("demo", INSTANCE)
    except EcsError as error:
        said = str(error)
    else:
        assert await said_through(await dialled(f"{url}/ws", roads)) == f"{host}:{port} heard hello"
        return "trusted"
    with pytest.raises(CannotConnect) as caught:
        await dialled(f"{url}/ws", roads)
    return next(why for why in WHYS if why in said and why in str(caught.value))


def test_only_who_is_vouched_for_is_believed_whatever_the_port(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "our-own-ca.crt").write_bytes(authority.file.read_bytes())
    (folder / "README").write_text("notes")
    server = authority.server("localhost")
    nobody, anybody = trust(None, {}), trust(None, {}, insecure=True)
    by_file, by_folder = trust(authority.file, {}), trust(None, {"SSL_CERT_DIR": f"{tmp_path / 'nowhere'}:{folder}"})

    async def story() -> None:
        async with a_service(server) as (_, port):
            assert await outcome(Roads(nobody, {}), port) == WHYS[0]
            assert await outcome(Roads(by_file, {}), port) == "trusted"
            assert await outcome(Roads(by_folder, {}), port) == "trusted"
            assert await outcome(Roads(anybody, {}), port) == "trusted"
            assert await outcome(Roads(by_file, {}), port, "127.0.0.1") == WHYS[1]

    run(story())


def test_what_the_system_trusts_stays_trusted(authority: Authority) -> None:
    system = {str(each) for each in ssl.create_default_context().get_ca_certs()}
    ours = {str(each) for each in trust(authority.file, {}).get_ca_certs()}
    assert len(ours - system) == 1
    assert system <= ours


@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"])
def test_a_file_without_certificates_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput, match=rf"^AWS_CA_BUNDLE: cannot read certificates from {file}: "):
        trust(file, {})


def test_a_session_ends_with_its_connector(authority: Authority) -> None:
    async def story() -> None:
        roads = Roads(None, {})
        async with EcsClient.open(EcsSettings(REGION, "ua", "https://localhost:1"), FixedKeys(), roads=roads) as ecs:
            connector = ecs._session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        assert connector.closed

    run(story())
