import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.sockets import client
from agent.sockets.client import CannotConnect, CannotSend, Connection, ConnectionEnded, dial
from tests.acs.world import SETTINGS, Accepted, a_server

HEADERS = {"Authorization": "AWS4-HMAC-SHA256 Credential=x", "X-Amz-Date": "20260115T120000Z"}


def over_a_connection(story: Callable[[Accepted, Connection], Awaitable[None]], *, answers_close: bool = True) -> None:
    async def run() -> None:
        async with a_server(answers_close=answers_close) as acs:
            connection = await dial(acs.url + "ws?a=1", HEADERS, SETTINGS)
            try:
                await story(await acs.accepted(), connection)
            finally:
                await connection.drop()

    asyncio.run(run())


async def end_of(connection: Connection) -> ConnectionEnded:
    with pytest.raises(ConnectionEnded) as caught:
        await connection.receive()
    return caught.value


def test_the_handshake_carries_the_signature_and_offers_nothing_that_acs_does_not_know() -> None:
    async def story() -> None:
        url = "ws?arn=arn%3Aaws%3Aecs%2Fx&dockerVersion=DockerVersion%3A+25.0.14"
        settings = replace(SETTINGS, user_agent="dockworker/0.1")
        async with a_server() as acs:
            connection = await dial(acs.url + url, HEADERS, settings)
            request = (await acs.accepted()).request
            await connection.drop()

            assert request.raw_path == f"/{url}"
            assert request.query["dockerVersion"] == "DockerVersion: 25.0.14"
            assert {name.title() for name in request.headers} == {
                "Host", "Authorization", "X-Amz-Date", "Upgrade", "Connection", "User-Agent",
                "Sec-Websocket-Key", "Sec-Websocket-Version",
            }  # fmt: skip
            assert request.headers["User-Agent"] == "dockworker/0.1"
            assert request.headers["Host"] == f"127.0.0.1:{acs.port}"

    asyncio.run(story())


def test_text_and_binary_messages_are_received_alike() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        await server.ws.send_str("text")
        await server.ws.send_bytes(b"bytes")

        assert [await connection.receive(), await connection.receive()] == ["text", b"bytes"]

    over_a_connection(story)


def test_a_message_in_fragments_is_put_together() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        server.write(b"\x01\x06hello \x89\x00\x00\x03big\x80\x06 world")

        assert await connection.receive() == "hello big world"
        assert (await server.receive()).type is WSMsgType.PONG

    over_a_connection(story)


def test_large_messages_pass_both_ways() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        large = "x" * (5 * 1024 * 1024)
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(server.ws.send_str(large))
            assert await connection.receive() == large
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(connection.send(large))
            assert (await server.receive()).data == large

    over_a_connection(story)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_codes_that_ask_for_another_connection_are_clean_and_answered(code: int) -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(server.ws.close(code=code, message=b"bye"))
            ended = await end_of(connection)

        assert (str(ended), ended.clean) == (f"closed by the peer with {code} bye", True)
        assert server.ws.close_code == code

    over_a_connection(story)


@pytest.mark.parametrize("code", [1002, 1003, 1008, 1012, 4000])
def test_other_codes_are_errors_and_tell_their_reason(code: int) -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(server.ws.close(code=code, message=b"InactiveInstanceException: gone"))
            ended = await end_of(connection)

        assert str(ended) == f"closed by the peer with {code} InactiveInstanceException: gone"
        assert not ended.clean

    over_a_connection(story)


def test_a_close_frame_without_a_code_is_an_error_that_is_not_waited_upon() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        server.write(b"\x88\x00")

        async with asyncio.timeout(5):
            ended = await end_of(connection)

        assert (str(ended), ended.clean) == ("closed by the peer with no code", False)

    over_a_connection(story)


def test_a_peer_that_hangs_up_in_good_order_is_clean() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        server.hang_up()

        ended = await end_of(connection)

        assert (str(ended), ended.clean) == ("hung up", True)

    over_a_connection(story)


def test_a_connection_that_breaks_is_an_error() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        server.reset()

        ended = await end_of(connection)

        assert not ended.clean
        assert "Connection reset" in str(ended)

    over_a_connection(story)


def test_a_text_that_is_not_utf8_is_received_as_it_is_and_the_connection_lives() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        server.write(b"\x81\x02\xff\xff\x81\x02ok")

        assert [await connection.receive(), await connection.receive()] == [b"\xff\xff", "ok"]

    over_a_connection(story)


def test_octets_that_are_no_frames_end_the_connection() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        server.write(b"\x83\x00")

        async with asyncio.TaskGroup() as jobs:
            answer = jobs.create_task(server.receive())
            ended = await end_of(connection)

        assert str(ended) == "the protocol was broken: there are no frames of kind 3"
        assert not ended.clean
        assert answer.result().data == 1002

    over_a_connection(story)


def test_a_message_that_is_too_large_is_passed_over_and_the_connection_lives() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(server.ws.send_bytes(bytes(70 * 1024 * 1024)))
            jobs.create_task(server.ws.send_str("next"))
            assert await connection.receive() == "next"

    over_a_connection(story)


def test_a_peer_that_is_silent_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "READ_DEADLINE", 0.05)

    async def story(_: Accepted, connection: Connection) -> None:
        assert not (await end_of(connection)).clean

    over_a_connection(story)


def test_a_peer_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WRITE_DEADLINE", 0.2)

    async def story(server: Accepted, connection: Connection) -> None:
        server.transport.pause_reading()
        with pytest.raises(ConnectionEnded, match="nothing could be written"):
            await connection.send("x" * (32 * 1024 * 1024))

        await connection.drop()  # does not wait for the rest to leave

        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() == 0

    over_a_connection(story)


def test_what_cannot_be_sent_any_more_leaves_it_to_the_reader_to_say_why() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(server.ws.close(code=1000))
            assert (await end_of(connection)).clean

        with pytest.raises(CannotSend):
            await connection.send("late")

    over_a_connection(story)


def test_our_own_close_waits_for_the_peers_answer() -> None:
    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            reader = jobs.create_task(end_of(connection))
            await asyncio.sleep(0)  # the reader reads before we close, as it does in the loop
            jobs.create_task(connection.close(1000, "ConnectionExpired"))
            closed = await server.receive()

        assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 1000, "ConnectionExpired")
        assert reader.result().clean

    over_a_connection(story)


@pytest.mark.parametrize(("octets", "clean"), [(b"\x88\x02\x03\xf0", False), (b"\x88\x02\x03\xe9", True), (b"", True)])
def test_our_own_close_may_be_answered_otherwise(octets: bytes, clean: bool) -> None:  # noqa: FBT001
    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            reader = jobs.create_task(end_of(connection))
            await asyncio.sleep(0)
            jobs.create_task(connection.close(1000, "ConnectionExpired"))
            assert (await server.receive()).type is WSMsgType.CLOSE
            server.write(octets)
            server.hang_up()

        assert reader.result().clean is clean

    over_a_connection(story, answers_close=False)


def test_our_own_close_that_is_never_answered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CLOSE_TIMEOUT", 0.05)

    async def story(server: Accepted, connection: Connection) -> None:
        async with asyncio.TaskGroup() as jobs:
            reader = jobs.create_task(end_of(connection))
            await asyncio.sleep(0)
            jobs.create_task(connection.close(1000, "ConnectionExpired"))
            assert (await server.receive()).type is WSMsgType.CLOSE

        assert not reader.result().clean

    over_a_connection(story, answers_close=False)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=400, text='{"InactiveInstanceException":"Container instance is inactive"}'),
        web.Response(status=403, text='{"type":"InactiveInstanceException","message":{"message":"gone"}}'),
        web.Response(status=200, text='{"__type":"InactiveInstanceException"}'),
        web.Response(status=302, headers={"Location": "/"}, text="InactiveInstanceException"),
        web.Response(status=400, text="x" * 900 + "InactiveInstanceException" + "y" * 5000),
    ],
)
def test_a_refused_handshake_tells_its_status_and_its_body(answer: web.Response) -> None:
    async def story() -> None:
        async with a_server() as acs:
            acs.refusals = [answer]
            with pytest.raises(CannotConnect) as caught:
                await dial(acs.url + "ws?a=1", HEADERS, SETTINGS)

            assert f"answered {answer.status}: " in str(caught.value)
            assert "InactiveInstanceException" in str(caught.value)
            assert len(str(caught.value)) < client.BODY_LIMIT + 200

    asyncio.run(story())


def test_a_refusal_in_chunks_is_read_too() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nInactive\r\n")
        await writer.drain()
        writer.write(b"11\r\nInstanceException\r\n0\r\n\r\n")
        writer.close()

    async def story() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(CannotConnect, match="InactiveInstanceException"):
                await dial(f"http://127.0.0.1:{port}/ws", HEADERS, SETTINGS)

    asyncio.run(story())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/ws", "http://no-such-host.invalid/ws", "http://127.0.0.1:99999/ws"]
)
def test_a_peer_that_is_not_there_is_an_expected_failure(url: str) -> None:
    with pytest.raises(CannotConnect, match="cannot connect to "):
        asyncio.run(dial(url, HEADERS, SETTINGS))


def test_a_peer_that_never_answers_the_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "DIAL_TIMEOUT", 0.05)

    async def story() -> None:
        silence = asyncio.Event()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await silence.wait()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(CannotConnect, match="TimeoutError"):
                await dial(f"http://127.0.0.1:{port}/ws", HEADERS, SETTINGS)
            silence.set()

    asyncio.run(story())


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's end of TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_that_nobody_vouches_for_is_accepted_only_where_the_operator_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_server(self_signed(tmp_path)) as acs:
            url = acs.url.replace("http:", "https:") + "ws?a=1"
            with pytest.raises(CannotConnect, match="certificate verify failed"):
                await dial(url, HEADERS, SETTINGS)

            anybody = ssl.create_default_context()
            anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
            connection = await dial(url, HEADERS, SETTINGS, road=lambda _: aiohttp.TCPConnector(ssl=anybody))
            server = await acs.accepted()
            await server.ws.send_str("over TLS")
            assert await connection.receive() == "over TLS"
            server.hang_up()
            assert (await end_of(connection)).clean
            await connection.drop()

    asyncio.run(story())
