import asyncio
import json
import select
import socket

import pytest
from structlog.testing import capture_logs

from agent.endpoints import doorway_server
from agent.endpoints.calls import Answer, Asked, Caller
from agent.endpoints.limits import Limiter
from agent.endpoints.server import LAST_PAUSE, EndpointServer
from tests.endpoints.asking import SOMEBODY, Echo, Everybody, Line, a_stand
from tests.stories.house import free_port


def test_what_no_desk_knows_is_not_found_and_says_what_the_limits_are() -> None:
    async def scene() -> None:
        async with a_stand(Echo()) as stand:
            line = await stand.line()
            reply = await line.ask("/nowhere", headers="X-Forwarded-For: 10.0.0.9\r\n")

            assert (reply.status, reply.body) == (404, b"404 page not found\n")
            assert reply.headers["content-type"] == "text/plain; charset=utf-8"
            assert reply.headers["x-rate-limit-limit"] == "40.00"
            assert reply.headers["x-rate-limit-duration"] == "1"
            assert reply.headers["x-rate-limit-request-forwarded-for"] == "10.0.0.9"
            port = line.writer.get_extra_info("sockname")[1]
            assert reply.headers["x-rate-limit-request-remote-addr"] == f"127.0.0.1:{port}"

    asyncio.run(scene())


def test_the_first_desk_that_knows_the_path_answers_and_is_told_who_asks() -> None:
    deaf, echo, visitors = Echo(), Echo(), Everybody()

    async def nothing(_asked: Asked) -> Answer:
        return Answer(200, b'{"of":"the second"}')

    echo.answers = nothing

    class Deaf:
        async def answer(self, asked: Asked) -> Answer | None:
            deaf.heard.append(asked)
            return None

    async def scene() -> None:
        async with a_stand(Deaf(), echo, visitors=visitors) as stand:
            reply = await stand.ask("/echo/a%20b?x=1&x=2", "PUT", "X-Some: Thing\r\n", b'{"a":1}')

            assert (reply.status, reply.body) == (200, b'{"of":"the second"}')
            assert reply.headers["content-type"] == "application/json"
            assert reply.headers["x-rate-limit-limit"] == "40.00"

    asyncio.run(scene())
    [asked] = echo.heard
    assert deaf.heard == [asked]
    assert (asked.method, asked.path, asked.query, asked.body) == ("PUT", "/echo/a b", {"x": "1"}, b'{"a":1}')
    assert asked.headers["x-some"] == "Thing"
    assert asked.caller == SOMEBODY


def test_a_path_that_is_not_clean_is_led_to_the_clean_one_before_it_is_counted() -> None:
    async def scene() -> None:
        async with a_stand(Echo(), limits=(1, 1)) as stand:
            for _ in range(3):
                reply = await stand.ask("//echo//./x/?q=%20")
                assert (reply.status, reply.headers["location"], reply.body) == (301, "/echo/x/?q=%20", b"")
                assert "x-rate-limit-limit" not in reply.headers
            assert (await stand.ask("/echo/x/")).status == 200

    asyncio.run(scene())


def test_who_asks_too_often_for_one_path_is_told_so_and_the_next_path_is_free() -> None:
    limited: list[Asked] = []
    echo = Echo()

    async def scene() -> None:
        async with a_stand(echo, limits=(1, 2), limited=limited.append) as stand:
            line = await stand.line()
            replies = [await line.ask("/echo/a", method) for method in ("GET", "PUT", "GET")]
            assert [one.status for one in replies] == [200, 200, 429]
            assert replies[2].body == b"You have reached maximum request limit."
            assert replies[2].headers["content-type"] == "text/plain; charset=utf-8"
            assert replies[2].headers["x-rate-limit-limit"] == "1.00"
            assert (await line.ask("/echo/b")).status == 200

    asyncio.run(scene())
    assert [one.path for one in limited] == ["/echo/a"]
    assert len(echo.heard) == 3


def test_who_calls_is_found_out_once_for_a_connection_and_anew_while_nobody_knows() -> None:
    known, unknown = Everybody(), Everybody(Caller())

    async def scene(visitors: Everybody) -> None:
        async with a_stand(Echo(), visitors=visitors) as stand:
            line = await stand.line()
            for _ in range(3):
                assert (await line.ask("/echo")).status == 200

    asyncio.run(scene(known))
    asyncio.run(scene(unknown))
    assert (known.asked, unknown.asked) == (1, 3)


def test_a_bug_at_a_desk_costs_one_answer_and_its_line_in_the_log_holds_no_path() -> None:
    async def broken(asked: Asked) -> Answer:
        raise KeyError(asked.method)

    async def scene() -> None:
        async with a_stand(Echo(broken)) as stand:
            line = await stand.line()
            assert (await line.ask("/echo/secret-id")).status == 500
            assert (await line.ask("/nowhere")).status == 404

    with capture_logs() as logs:
        asyncio.run(scene())
    told = [one for one in logs if one["event"] == "request_broke"]
    assert len(told) == 1
    assert "secret-id" not in json.dumps(logs, default=str)


def test_a_body_that_is_too_long_is_refused() -> None:
    async def scene() -> None:
        async with a_stand(Echo()) as stand:
            big = b"x" * (doorway_server.MOST_BODY + 1)
            assert (await stand.ask("/echo", "PUT", body=big)).status == 413
            line = await stand.line()
            chunk = f"{len(big):x}\r\n".encode() + big + b"\r\n0\r\n\r\n"
            line.writer.write(b"PUT /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
            assert (await line.reply()).status == 413
            fits = b"x" * doorway_server.MOST_BODY
            assert (await stand.ask("/echo", "PUT", body=fits)).body == fits

    asyncio.run(scene())


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /echo HTTP/1.1\r\nHost:",
        b"PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_does_not_come_to_its_end_is_given_up(beginning: bytes) -> None:
    async def scene() -> None:
        async with a_stand(Echo(), patience=0.2) as stand:
            line = await stand.line()
            line.writer.write(beginning)
            assert await line.is_closed()

    asyncio.run(scene())


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    async def never(_asked: Asked) -> Answer:
        await asyncio.Event().wait()
        return Answer(200)

    async def scene() -> None:
        async with a_stand(Echo(never), patience=0.2) as stand:
            line = await stand.line()
            line.writer.write(b"GET /echo HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await line.is_closed()

    asyncio.run(scene())


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async def long(_asked: Asked) -> Answer:
        return Answer(200, b"x" * (32 << 20))

    async def scene() -> None:
        async with a_stand(Echo(long), patience=0.2) as stand:
            with socket.create_connection(("127.0.0.1", stand.port)) as line:
                line.sendall(b"GET /echo HTTP/1.1\r\nHost: here\r\n\r\n")
                cut_off = select.poll()
                cut_off.register(line, 0)  # says when the connection is gone, and not that there is something to read
                assert await asyncio.to_thread(cut_off.poll, 10_000)

    asyncio.run(scene())


def test_one_address_has_only_so_many_connections_and_room_comes_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorway_server, "MOST_OF_ONE", 2)

    async def scene() -> None:
        async with a_stand(Echo()) as stand:
            first, second, third = [await stand.line() for _ in range(3)]
            assert (await first.ask("/echo")).status == 200
            assert (await second.ask("/echo")).status == 200
            assert await third.is_closed()
            first.writer.close()
            while not await answers(await stand.line()):
                pass  # the server has not heard of the end yet; the stand has a bound

    async def answers(line: Line) -> bool:
        try:
            return (await line.ask("/echo")).status == 200
        except (ConnectionError, asyncio.IncompleteReadError):
            return False

    asyncio.run(scene())
    assert caplog.text == ""


def test_what_cannot_be_read_is_a_bad_request_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with a_stand(Echo()) as stand:
            line = await stand.line()
            line.writer.write(b"GET /v2/credentials/secret-id\x00 HTTP/9\r\n\r\n")
            assert (await line.reply()).status == 400

    with capture_logs() as logs:
        asyncio.run(scene())
    assert "secret-id" not in caplog.text + json.dumps(logs, default=str)


def test_an_address_that_is_taken_is_tried_again_at_growing_distances_and_served_once_it_is_free() -> None:
    port = free_port()
    pauses: list[float] = []

    async def scene() -> None:
        taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 9:
                taken.close()
                await taken.wait_closed()

        server = EndpointServer(f"127.0.0.1:{port}", [], Everybody(), Limiter(1, 1), pause=pause)
        job = asyncio.create_task(server.run())
        async with asyncio.timeout(10):
            await server.is_listening.wait()
        job.cancel()
        await asyncio.wait([job])

    with capture_logs() as logs:
        asyncio.run(scene())
    assert all(abs(pause / min(2.0**number, LAST_PAUSE) - 1) <= 0.2 for number, pause in enumerate(pauses))
    warned = [one for one in logs if one["event"] == "task_address_not_opened"]
    assert len(warned) == 9
    assert {one["log_level"] for one in warned} == {"warning"}


def test_nothing_is_served_where_the_address_is_off() -> None:
    asyncio.run(EndpointServer("off", [], Everybody(), Limiter(1, 1)).run())
