import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from agent.acs import loop, renewal
from agent.model.errors import InactiveInstance, TryAgain
from agent.model.events import CredentialsArrived, TaskAssigned, TaskStopRequested
from agent.sockets import client
from tests.acs.world import PATIENCE, Accepted, a_server, an_agent
from tests.wire.acs_samples import ARN, INSTANCE, ROLE, a_task

INACTIVITY = 70.0
PROBATION = 90.0
LIFE = 1950.0
FIRST_WAIT = 0.275
SECOND_WAIT = 0.4125
HOUR = 3600.0


async def send_payload(server: Accepted, number: int, *tasks: object) -> None:
    await server.tell(
        "PayloadMessage", messageId=f"p-{number}", clusterArn="demo", containerInstanceArn=INSTANCE, tasks=tasks
    )


async def beat(server: Accepted, name: str = "hb") -> None:
    """Send a heartbeat and see it answered."""
    await server.tell("HeartbeatMessage", messageId=name, healthy=True)
    assert await server.hear() == ("HeartbeatAckRequest", {"messageId": name})


async def read_up_to_here(server: Accepted) -> None:
    """Return when the agent has read all that was sent, without giving it a sign of life: it answers a ping."""
    await server.ws.ping()
    assert (await server.receive()).type is WSMsgType.PONG


def stop(arn: str) -> dict[str, str]:
    return {"arn": arn, "desiredStatus": "STOPPED"}


def ack(number: int) -> tuple[str, dict[str, str]]:
    return "AckRequest", {"cluster": "demo", "containerInstance": INSTANCE, "messageId": f"p-{number}"}


def test_a_heartbeat_is_answered_and_whoever_wants_to_know_hears_of_the_connection() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await beat(server)

            assert agent.greeted == [True]
            assert agent.loop.is_connected

    asyncio.run(story())


def test_a_payload_is_acknowledged_after_its_commit_and_not_before() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, holds=True) as agent:
            server = await acs.accepted()
            await send_payload(server, 1, a_task(roleCredentials=ROLE))
            await agent.engine.got(1)
            await beat(server)  # nothing else leaves while the commit hangs, and the reader reads on

            agent.engine.commits[0].set_result(None)

            assert await server.hear() == ack(1)
            assert await server.hear() == (
                "IAMRoleCredentialsAckRequest",
                {"messageId": "p-1", "expiration": "2026-01-15T18:00:00Z", "credentialsId": "b9c1-app"},
            )
            [[arrived, assigned]] = agent.engine.submitted
            assert isinstance(arrived, CredentialsArrived)
            assert arrived.credentials_id == "b9c1-app"
            assert isinstance(assigned, TaskAssigned)
            assert len(assigned.draw) >= 40
            assert int(assigned.draw, 16)
            assert agent.engine.vault_then == [["b9c1-app"]]

    asyncio.run(story())


def test_acknowledgements_leave_in_the_order_of_the_messages_however_the_commits_end() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, holds=True) as agent:
            server = await acs.accepted()
            for number in (1, 2, 3):
                await send_payload(server, number, stop(f"task-{number}"))
            await agent.engine.got(3)
            assert [e.task for [e] in agent.engine.submitted if isinstance(e, TaskStopRequested)] == [
                "task-1",
                "task-2",
                "task-3",
            ]

            agent.engine.commits[2].set_result(None)
            agent.engine.commits[1].set_result(None)
            await beat(server)
            agent.engine.commits[0].set_result(None)

            assert [await server.hear() for _ in range(3)] == [ack(1), ack(2), ack(3)]

    asyncio.run(story())


def test_a_payload_with_a_refused_task_is_never_acknowledged() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await send_payload(server, 1, a_task(volumes=["x"]), stop("b"))
            await send_payload(server, 2)

            assert await server.hear() == ack(2)
            assert len(agent.engine.submitted) == 1

    asyncio.run(story())


def test_fresh_credentials_are_in_the_vault_before_the_engine_hears_of_them() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await server.tell(
                "IAMRoleCredentialsMessage",
                messageId="c-9",
                taskArn=ARN,
                roleType="TaskApplication",
                roleCredentials=ROLE,
            )

            assert (await server.hear())[0] == "IAMRoleCredentialsAckRequest"
            assert isinstance(agent.engine.submitted[0][0], CredentialsArrived)
            assert agent.engine.vault_then == [["b9c1-app"]]

    asyncio.run(story())


def test_credentials_that_no_task_uses_are_dropped_once_the_engine_has_decided() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, holds=True) as agent:
            server = await acs.accepted()
            agent.vault.unused = {"b9c1-app"}
            await send_payload(server, 1, a_task(roleCredentials=ROLE))
            await agent.engine.got(1)
            assert set(agent.vault.held) == {"b9c1-app"}  # the engine may be about to take the task

            agent.engine.commits[0].set_result(None)

            assert await server.hear() == ack(1)
            assert not agent.vault.held

    asyncio.run(story())


def test_facts_outlive_their_connection_and_acknowledgements_do_not() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, holds=True) as agent:
            first = await acs.accepted()
            await send_payload(first, 1, stop("a"))
            await agent.engine.got(1)
            agent.time.now += 5
            first.hang_up()
            second = await acs.accepted()

            assert not agent.engine.commits[0].cancelled()
            agent.engine.commits[0].set_result(None)

            await beat(second)
            await send_payload(second, 1, stop("a"))
            await agent.engine.got(2)
            agent.engine.commits[1].set_result(None)
            assert await second.hear() == ack(1)

    asyncio.run(story())


def test_frames_that_wait_for_the_disk_have_a_bound_and_stops_are_taken_beyond_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "MOST_WAITING", 1)

    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, holds=True) as agent:
            server = await acs.accepted()
            for number, task in enumerate([a_task(arn="a"), a_task(arn="b", roleCredentials=ROLE), stop("c")]):
                await send_payload(server, number, task)
            await agent.engine.got(2)

            [[first], [second]] = agent.engine.submitted
            assert isinstance(first, TaskAssigned)
            assert isinstance(second, TaskStopRequested)
            assert agent.vault.held == {}
            for commit in agent.engine.commits:
                commit.set_result(None)
            assert [await server.hear(), await server.hear()] == [ack(0), ack(2)]

            await send_payload(server, 4, a_task(arn="d"))
            await agent.engine.got(3)

    asyncio.run(story())


def test_a_frame_that_cannot_be_read_is_dropped_and_the_connection_stays() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url):
            server = await acs.accepted()
            for text in (
                "",
                "{",
                '{"type":"Novelty","message":{}}',
                "[" * 50_000,
                '{"type":"PayloadMessage","message":7}',
            ):
                await server.ws.send_str(text)
            await server.ws.send_bytes(b"\xff\xfe")

            await beat(server)

    asyncio.run(story())


def test_a_message_that_can_be_read_keeps_the_connection_alive() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await agent.time.asleep(INACTIVITY)
            for name in ("a", "b", "c"):
                agent.time.advance(INACTIVITY - 1)
                await beat(server, name)
            await server.tell("TaskManifestMessage", messageId="tm")
            await read_up_to_here(server)
            agent.time.advance(INACTIVITY - 1)

            await beat(server, "still there")

    asyncio.run(story())


def test_each_message_draws_the_time_of_silence_afresh() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await agent.time.asleep(INACTIVITY)
            for chance, seconds in ((0.0, 60.0), (1.0, 80.0)):
                agent.time.chance = chance
                await beat(server)
                await agent.time.asleep(seconds)

    asyncio.run(story())


def test_a_silent_peer_is_dropped_without_a_close_frame_and_met_again_after_a_wait() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await agent.time.asleep(INACTIVITY)
            agent.time.advance(INACTIVITY - 1)
            await server.ws.send_str("no frame at all")
            await read_up_to_here(server)  # neither this nor a ping is a sign of life

            agent.time.advance(1)

            assert (await server.receive()).type is not WSMsgType.CLOSE
            await agent.time.wake(FIRST_WAIT)
            await beat(await acs.accepted())

    asyncio.run(story())


def test_an_old_connection_is_closed_in_good_order_and_followed_at_once() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            agent.time.now += LIFE
            await agent.time.wake(LIFE)

            closed = await server.receive()

            assert (closed.type, closed.data, closed.extra) == (
                WSMsgType.CLOSE,
                1000,
                "ConnectionExpired: Reconnect to continue",
            )
            await beat(await acs.accepted())
            assert FIRST_WAIT not in agent.time.asked

    asyncio.run(story())


def test_a_peer_that_does_not_answer_our_close_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CLOSE_TIMEOUT", 0.05)

    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await beat(server)
            await agent.time.wake(LIFE)
            await agent.time.wake(FIRST_WAIT)  # the server's end reads nothing, so it never answers

            await beat(await acs.accepted())

    asyncio.run(story())


def test_a_peer_that_talks_on_after_our_close_is_dropped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CLOSE_TIMEOUT", 0.2)

    async def story() -> None:
        async with a_server(answers_close=False) as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await beat(server)
            await agent.time.wake(LIFE)
            assert (await server.receive()).type is WSMsgType.CLOSE
            for number in range(20):
                server.write(b"\x81\x02{}")
                await asyncio.sleep(0)
                assert not agent.job.done(), number
            await agent.time.wake(FIRST_WAIT)

            await beat(await acs.accepted())

    asyncio.run(story())


async def close_with(code: int, server: Accepted, reason: bytes = b"") -> None:
    await server.ws.close(code=code, message=reason)


async def hang_up(server: Accepted) -> None:
    server.hang_up()


async def reset(server: Accepted) -> None:
    server.reset()


async def close_without_a_code(server: Accepted) -> None:
    server.write(b"\x88\x00")


async def break_the_protocol(server: Accepted) -> None:
    server.write(b"\x83\x00")
    assert (await server.receive()).type is WSMsgType.CLOSE


def closing_with(code: int) -> Callable[[Accepted], Any]:
    return lambda server: close_with(code, server)


@pytest.mark.parametrize("end", [closing_with(1000), closing_with(1001), closing_with(1011), hang_up])
def test_a_clean_end_is_followed_at_once(end: Callable[[Accepted], Any]) -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            for _ in range(3):
                server = await acs.accepted()
                await beat(server)
                agent.time.now += 5
                await end(server)
            await beat(await acs.accepted())

            assert min(agent.time.asked) == INACTIVITY
            assert agent.greeted == [True] * 4

    asyncio.run(story())


@pytest.mark.parametrize(
    "end",
    [
        *map(closing_with, (1002, 1003, 1007, 1008, 1009, 1010, 1012, 1013, 3000, 4000, 4999)),
        close_without_a_code,
        reset,
        break_the_protocol,
    ],
)
def test_any_other_end_is_followed_after_a_wait_that_grows(end: Callable[[Accepted], Any]) -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            for wait in (FIRST_WAIT, SECOND_WAIT):
                server = await acs.accepted()
                await beat(server)
                agent.time.now += 5
                await end(server)
                await agent.time.asleep(wait)
                assert not agent.loop.is_connected
                await agent.time.wake(wait)
            await beat(await acs.accepted())

    asyncio.run(story())


def test_a_connection_that_outlived_its_probation_starts_the_waits_over() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            for wait in (FIRST_WAIT, SECOND_WAIT):
                await close_with(1008, await acs.accepted())
                await agent.time.wake(wait)
            server = await acs.accepted()
            await beat(server)
            agent.time.now += PROBATION
            await close_with(1008, server)

            await agent.time.wake(FIRST_WAIT)
            await beat(await acs.accepted())

    asyncio.run(story())


def test_a_server_that_closes_whatever_opens_is_not_hit_without_a_pause() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            await close_with(1000, await acs.accepted())
            await close_with(1000, await acs.accepted())

            await agent.time.wake(FIRST_WAIT)
            await close_with(1000, await acs.accepted())
            await agent.time.asleep(SECOND_WAIT)

    asyncio.run(story())


def inactive(body: str) -> web.Response:
    return web.Response(status=400, text=body, content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        '{"InactiveInstanceException":"Container instance is inactive"}',
        '{"type":"InactiveInstanceException","message":{"message":"gone"}}',
        '{"__type":"InactiveInstanceException","message":"gone"}',
    ],
)
def test_an_instance_that_a_handshake_calls_inactive_asks_again_after_an_hour_for_ever(body: str) -> None:
    async def story() -> None:
        async with a_server() as acs:
            acs.refusals = [inactive(body), inactive(body)]
            async with an_agent(acs.url) as agent:
                await agent.time.wake(HOUR)
                await agent.time.wake(HOUR)
                await beat(await acs.accepted())

                assert acs.refused == 2

    asyncio.run(story())


@pytest.mark.parametrize("word", ["InactiveInstanceException", "InvalidInstanceException"])
def test_an_instance_that_ecs_has_let_go_of_is_renewed_after_a_minute_where_that_is_wished(word: str) -> None:
    async def story() -> None:
        async def renew() -> str:
            return "arn:new"

        async with a_server() as acs:
            acs.refusals = [inactive(f'{{"{word}":"gone"}}')]
            async with an_agent(acs.url, renew=renew) as agent:
                await agent.time.wake(60.0)
                server = await acs.accepted()
                assert server.request.query["containerInstanceArn"] == "arn:new"
                assert server.request.query["sendCredentials"] == "true"

    asyncio.run(story())


def test_an_instance_that_a_close_frame_calls_inactive_asks_again_after_an_hour() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            await close_with(1008, await acs.accepted(), b"InactiveInstanceException: gone")

            await agent.time.asleep(HOUR)

    asyncio.run(story())


def test_the_word_inactive_in_a_frame_changes_nothing() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url):
            server = await acs.accepted()
            await server.ws.send_str('{"InactiveInstanceException":"gone"}')

            await beat(server)

    asyncio.run(story())


@pytest.mark.parametrize(
    "failure",
    [
        InactiveInstance("the instance is deregistered"),
        TryAgain("gone", name="InactiveInstanceException"),
        TryAgain("An error occurred (InactiveInstanceException): gone"),
    ],
)
def test_an_instance_that_the_api_calls_inactive_asks_again_after_an_hour(failure: Exception) -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, failures=(failure,)) as agent:
            await agent.time.wake(HOUR)

            await beat(await acs.accepted())

    asyncio.run(story())


def test_an_endpoint_that_is_not_to_be_had_is_asked_for_again() -> None:
    async def story() -> None:
        failures = (TryAgain("busy"), TryAgain("busy"))
        async with a_server() as acs, an_agent(acs.url, failures=failures) as agent:
            await agent.time.wake(FIRST_WAIT)
            await agent.time.wake(SECOND_WAIT)

            await beat(await acs.accepted())
            assert agent.endpoints.forgotten == 0

    asyncio.run(story())


def test_an_endpoint_that_is_no_url_is_an_expected_failure() -> None:
    async def story() -> None:
        async with an_agent("") as agent:
            await agent.time.asleep(FIRST_WAIT)

    asyncio.run(story())


def test_an_endpoint_that_does_not_answer_is_forgotten_after_the_third_failure_in_a_row() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent("http://127.0.0.1:9/") as agent:
            await agent.time.wake(FIRST_WAIT)
            await agent.time.wake(SECOND_WAIT)
            await agent.time.asleep(0.61875)
            assert agent.endpoints.forgotten == 1

            agent.endpoints.url = acs.url
            await agent.time.wake(0.61875)
            await beat(await acs.accepted())
            assert agent.endpoints.forgotten == 1

    asyncio.run(story())


def test_a_connection_in_between_makes_up_for_the_failures_before_it() -> None:
    async def story() -> None:
        async with a_server() as acs:
            acs.refusals = [web.Response(status=503), web.Response(status=503)]
            async with an_agent(acs.url) as agent:
                await agent.time.wake(FIRST_WAIT)
                await agent.time.wake(SECOND_WAIT)
                server = await acs.accepted()
                await beat(server)
                agent.time.now += 5
                acs.refusals = [web.Response(status=503)]
                server.hang_up()
                await agent.time.asleep(FIRST_WAIT)

                assert agent.endpoints.forgotten == 0

    asyncio.run(story())


def test_credentials_are_asked_for_at_first_and_whenever_some_are_missing() -> None:
    async def story() -> None:
        async with a_server() as acs:
            acs.refusals = [web.Response(status=503)]
            async with an_agent(acs.url) as agent:
                await agent.time.wake(FIRST_WAIT)
                asked = []
                for misses in (False, True, False, False):
                    server = await acs.accepted()
                    asked.append(server.request.query["sendCredentials"])
                    await beat(server)
                    agent.vault.misses = misses
                    agent.time.now += 5
                    server.hang_up()

                assert asked == ["true", "false", "true", "false"]

    asyncio.run(story())


def test_the_address_that_is_signed_is_the_one_on_the_wire() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url):
            request = (await acs.accepted()).request

            assert request.headers["Authorization"] == f"signed {acs.url}{request.raw_path.removeprefix('/')}"
            assert "&dockerVersion=DockerVersion%3A+25.0.14&" in request.raw_path

    asyncio.run(story())


def test_a_session_that_is_cancelled_leaves_no_connection() -> None:
    async def story() -> None:
        async with a_server() as acs:
            async with an_agent(acs.url) as agent:
                server = await acs.accepted()
                await beat(server)
            assert agent.job.cancelled()
            assert not agent.loop.is_connected
            assert (await server.receive()).type in (WSMsgType.CLOSED, WSMsgType.CLOSING)

    asyncio.run(story())


class Ending:
    """A connection that ends when the test says so."""

    def __init__(self) -> None:
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def receive(self) -> str:
        return await self.end

    async def drop(self) -> None:
        return


@pytest.mark.parametrize("moments", range(8))
def test_a_session_that_is_cancelled_while_its_connection_ends_is_over(moments: int) -> None:
    async def story() -> None:
        dialled = asyncio.Queue[Ending]()

        async def dial(*_: object) -> Ending:
            connection = Ending()
            dialled.put_nowait(connection)
            return connection

        async with an_agent("http://acs.invalid", dial=dial) as agent, asyncio.timeout(PATIENCE):
            connection = await dialled.get()
            await agent.time.asleep(LIFE)
            connection.end.set_exception(client.ConnectionEnded("closed by the peer", clean=True))
            for _ in range(moments):
                await asyncio.sleep(0)
            agent.job.cancel()
            done, _ = await asyncio.wait({agent.job, asyncio.ensure_future(agent.time.asleep(LIFE))}, timeout=0.2)
            assert agent.job in done
            assert agent.job.cancelled()

    asyncio.run(story())


def test_a_bug_in_the_engine_ends_the_session_and_is_not_swallowed() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, holds=True) as agent:
            server = await acs.accepted()
            await send_payload(server, 1, stop("a"))
            await agent.engine.got(1)
            agent.engine.commits[0].set_exception(ZeroDivisionError())
            await asyncio.wait({agent.job}, timeout=10)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(story())
    assert caught.group_contains(ZeroDivisionError)


def test_credentials_that_are_not_refreshed_are_asked_for_with_a_new_connection() -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url) as agent:
            server = await acs.accepted()
            await beat(server)
            agent.vault.misses = True
            await beat(server)
            agent.time.now += renewal.FIRST
            await server.tell("HeartbeatMessage", messageId="hb", healthy=True)
            while (last := await server.receive()).type is WSMsgType.TEXT:
                pass
            again = await acs.accepted()

            assert (last.type, last.extra) == (WSMsgType.CLOSE, loop.LACKING)
            assert again.request.query["sendCredentials"] == "true"
            assert FIRST_WAIT not in agent.time.asked
            await beat(again)

    asyncio.run(story())


class Told:
    """Telemetry, which notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def heartbeat(self) -> None:
        self.heard.append("heartbeat")

    def let_go(self) -> None:
        self.heard.append("let go")


def test_telemetry_hears_of_each_heartbeat_and_of_nothing_else() -> None:
    async def story() -> None:
        telemetry = Told()
        async with a_server() as acs, an_agent(acs.url, telemetry=telemetry):
            server = await acs.accepted()
            await beat(server, "1")
            await server.tell("ServerException", message="hm")
            await beat(server, "2")

            assert telemetry.heard == ["heartbeat"] * 2

    asyncio.run(story())


@pytest.mark.parametrize(("why", "heard"), [("InactiveInstanceException: gone", ["let go"]), ("tired", [])])
def test_telemetry_hears_that_ecs_has_let_go_of_the_instance(why: str, heard: list[str]) -> None:
    async def story() -> None:
        telemetry = Told()
        async with a_server() as acs, an_agent(acs.url, telemetry=telemetry) as agent:
            server = await acs.accepted()
            await server.ws.close(code=1008, message=why.encode())
            await agent.time.asleep(HOUR if heard else FIRST_WAIT)

            assert telemetry.heard == heard

    asyncio.run(story())
