import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import WSMsgType, web

from agent.model.errors import InactiveInstance, TryAgain
from agent.model.status import Health
from agent.sockets import client
from agent.tcs.loop import EXPIRED
from agent.wire import tcs
from tests.acs.world import Accepted, Server, a_server
from tests.tcs.rows import INSTANCE, WHO, a_task
from tests.tcs.world import Agent, an_agent, heard, metrics

EVERY = 20.0
INACTIVITY = 90.0
LIFE = 1950.0
FIRST_WAIT = 1.1
"""A second and half of its fifth."""


Story = Callable[[Server, Agent, Accepted], Awaitable[None]]


def told(story: Story, *, answers_close: bool = True, has_news: bool = False) -> None:
    """Tell *story* of a session that is open and has said that it has nothing to tell."""

    async def run() -> None:
        async with (
            a_server(answers_close=answers_close) as server,
            an_agent(server.url, has_news=has_news) as agent,
        ):
            session = await server.accepted()
            assert await is_idle(session)
            await story(server, agent, session)

    asyncio.run(run())


async def is_idle(session: Accepted) -> bool:
    frame = await metrics(session)
    return bool(frame.metadata and frame.metadata.idle and frame.metadata.fin) and frame.task_metrics is None


async def tick(agent: Agent) -> None:
    """Let twenty seconds pass, once both that tell something wait for them."""
    await agent.time.asleep(EVERY, 2)
    agent.time.advance(EVERY)


async def read_up_to_here(session: Accepted) -> None:
    """Return when the agent has read all that was sent: it answers a ping."""
    await session.ws.ping()
    assert (await session.receive()).type is WSMsgType.PONG


async def end_of(session: Accepted) -> tuple[int | None, str | None]:
    """How the agent closed its side."""
    got = await session.receive()
    assert got.type is WSMsgType.CLOSE, got
    return got.data, got.extra


def test_the_session_is_opened_with_the_names_of_telemetry_and_nothing_of_acs() -> None:
    async def story(server: Server, _: Agent, session: Accepted) -> None:
        path = (
            "/ws?agentHash=a8b3e7d3&agentVersion=1.105.1&cluster=demo&containerInstance="
            "arn%3Aaws%3Aecs%3Aus-west-2%3A111122223333%3Acontainer-instance%2Fdemo%2F0123456789abcdef0123456789abcdef"
            "&dockerVersion=25.0.14"
        )
        assert session.request.raw_path == path
        assert session.request.headers["Authorization"] == f"signed http://127.0.0.1:{server.port}{path}"

    told(story)


def test_each_frame_is_signed_for_the_address_of_the_session() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        await tick(agent)
        headers, frame = await heard(session)

        url = f"http://127.0.0.1:{server.port}{session.request.raw_path}"
        assert headers["authorization"] == f"signed {url} {len(tcs.encode(frame))}"
        assert set(headers) == {"authorization", "host", "x-amz-date"}

    told(story)


def test_an_idle_instance_says_so_at_once_and_every_twenty_seconds() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        for _again in range(3):
            await tick(agent)
            assert await is_idle(session)

    told(story)


def test_figures_are_told_once_and_only_where_there_are_some() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        agent.containers.add(a_task(), 0)  # one look tells nothing: no frame
        await tick(agent)
        await agent.time.asleep(EVERY, 2)
        agent.containers.add(a_task(), 1, 2)
        await tick(agent)

        frame = await metrics(session)
        assert frame.metadata == tcs.MetricsMetadata("demo", INSTANCE, fin=True, idle=False, message_id="name-5")
        assert [one.task_arn for one in frame.task_metrics or ()] == ["arn:task/1"]
        assert sampled(frame) == 2

        agent.containers.add(a_task(), 3, 4, 5)
        await tick(agent)
        assert sampled(await metrics(session)) == 3

    told(story)


def sampled(frame: tcs.PublishMetricsRequest) -> int | None:
    [task] = list(frame.task_metrics or ())
    [container] = list(task.container_metrics or ())
    assert container.cpu_stats_set is not None
    return container.cpu_stats_set.sample_count


def test_more_than_ten_tasks_come_in_pages_of_one_name() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        for number in range(23):
            agent.containers.add(a_task(number), 0, 1)
        await tick(agent)

        frames = [await metrics(session) for _ in range(3)]
        assert [len(frame.task_metrics or ()) for frame in frames] == [10, 10, 3]
        assert [frame.metadata.fin for frame in frames if frame.metadata] == [False, False, True]
        assert len({frame.metadata.message_id for frame in frames if frame.metadata}) == 1

    told(story)


def test_what_could_not_be_signed_is_told_with_the_next_frame() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        agent.signer.has_keys = False
        agent.containers.add(a_task(), 0, 1, 2)
        await tick(agent)
        await agent.time.asleep(EVERY, 2)
        agent.signer.has_keys = True
        agent.containers.add(a_task(), 3)
        await tick(agent)

        assert sampled(await metrics(session)) == 3

    told(story)


def test_what_was_measured_while_there_was_no_session_is_told_as_soon_as_there_is_one() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        agent.containers.add(a_task(), 0, 1)
        session.reset()
        await agent.time.asleep(FIRST_WAIT)
        agent.containers.add(a_task(), *range(2, 31))
        agent.time.advance(31)

        again = await server.accepted()
        assert sampled(await metrics(again)) == 30

        agent.containers.add(a_task(), 31, 32)
        await agent.time.asleep(9)  # what is left of the second twenty seconds
        agent.time.advance(9)
        assert sampled(await metrics(again)) == 2

    told(story)


def test_after_a_long_outage_there_is_one_frame_and_the_rhythm_begins_anew() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        session.reset()
        await agent.time.asleep(FIRST_WAIT)
        agent.time.advance(1000)
        again = await server.accepted()

        assert await is_idle(again)
        await tick(agent)
        assert await is_idle(again)
        await agent.time.asleep(EVERY, 2)
        await read_up_to_here(again)  # there was no third frame

    told(story)


def test_a_session_that_is_opened_soon_again_keeps_the_rhythm() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        await agent.time.asleep(EVERY)
        agent.time.advance(5)
        await session.ws.close()
        again = await server.accepted()

        await agent.time.wake(15)
        assert await is_idle(again)

    told(story)


def test_health_is_told_whole_each_time() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        agent.containers.add(a_task(1, checked=True, health=Health.HEALTHY))
        for _again in range(2):
            await tick(agent)
            frame = (await heard(session))[1]

            assert isinstance(frame, tcs.PublishHealthRequest)
            [task] = list(frame.tasks or ())
            assert [one.health_status for one in task.containers or ()] == ["HEALTHY"]

    told(story)


def test_the_instance_is_told_of_after_twenty_seconds_and_after_each_look() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        for expected in ("INITIALIZING", "OK", "IMPAIRED"):
            await tick(agent)
            frames = [(await heard(session))[1] for _ in range(2)]
            [status] = [one for one in frames if isinstance(one, tcs.PublishInstanceStatusRequest)]
            [found] = list(status.statuses or ())
            assert (found.type, found.status) == ("ContainerRuntime", expected)

            await tick(agent)
            assert await is_idle(session)  # and nothing of the instance: that is known

            await session.tell("HeartbeatMessage")
            await read_up_to_here(session)
            agent.docker.answers = expected == "INITIALIZING"
            agent.checkup.look()
            await agent.docker.asked.acquire()

    told(story, has_news=True)


@pytest.mark.parametrize(
    "kind", ["AckPublishMetric", "AckPublishHealth", "AckPublishInstanceStatus", "HeartbeatMessage"]
)
def test_a_sign_of_life_winds_the_inactivity_timer_up(kind: str) -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        await agent.time.asleep(INACTIVITY)
        agent.time.chance = 0.25
        await session.tell(kind)

        await agent.time.wake(75)
        assert await end_of(session) == (1000, EXPIRED)

    told(story)


def test_other_messages_and_frames_that_are_none_do_not() -> None:
    async def story(_: Server, agent: Agent, session: Accepted) -> None:
        await agent.time.asleep(INACTIVITY)
        agent.time.chance = 0.25
        for kind in ("ServerException", "StopTelemetrySessionMessage", "InvalidParameterException", "Novelty"):
            await session.tell(kind, message="hm")
        await session.ws.send_str("{")
        await read_up_to_here(session)

        assert 75 not in agent.time.asked
        await agent.time.wake(INACTIVITY)
        assert await end_of(session) == (1000, EXPIRED)

    told(story)


def test_a_session_ends_in_good_order_when_it_is_old_and_another_begins_at_once() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        await agent.time.asleep(LIFE)
        agent.time.now += LIFE
        await agent.time.wake(LIFE)
        assert await end_of(session) == (1000, EXPIRED)

        await read_up_to_here(await server.accepted())
        assert agent.loop.is_connected

    told(story)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_after_a_clean_end_the_next_session_begins_at_once(code: int) -> None:
    async def story(server: Server, _: Agent, session: Accepted) -> None:
        await session.ws.close(code=code)

        await server.accepted()

    told(story)


def test_after_other_ends_the_waits_grow_until_a_clean_one() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        for wait in (1.1, 2.2, 4.4):
            await session.ws.close(code=1008)
            await agent.time.wake(wait)
            session = await server.accepted()
        agent.time.now += 100
        await session.ws.close(code=1000)
        session = await server.accepted()
        session.reset()
        await agent.time.wake(1.1)
        await server.accepted()

    told(story)


def test_a_refused_handshake_is_tried_again_and_the_endpoint_asked_for_afresh() -> None:
    async def story() -> None:
        async with a_server() as server:
            body = {"InactiveInstanceException": "Container instance is inactive"}
            server.refusals += [web.json_response(body, status=400) for _ in range(3)]
            async with an_agent(server.url) as agent:
                for wait in (1.1, 2.2, 4.4):
                    await agent.time.wake(wait)
                assert await is_idle(await server.accepted())

                assert agent.endpoints.forgotten == 1
                assert len(agent.signer.dates) == 3

    asyncio.run(story())


@pytest.mark.parametrize("failure", [TryAgain("ECS is away"), InactiveInstance("gone")])
def test_without_an_endpoint_there_is_another_try(failure: Exception) -> None:
    async def story() -> None:
        async with a_server() as server, an_agent(server.url, failures=(failure,)) as agent:
            await agent.time.wake(FIRST_WAIT)
            assert await is_idle(await server.accepted())

    asyncio.run(story())


def test_a_pinned_endpoint_that_is_none_ends_nothing() -> None:
    async def story() -> None:
        async with an_agent("ftp://tcs.example") as agent:
            await agent.time.wake(FIRST_WAIT)
            await agent.time.wake(2 * FIRST_WAIT)

    asyncio.run(story())


def test_an_instance_that_was_let_go_ends_its_session_and_comes_back_as_another() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        agent.who.append(replace(WHO, instance_arn="arn:new"))
        agent.loop.cut()
        await agent.time.wake(FIRST_WAIT)
        again = await server.accepted()
        await tick(agent)

        assert again.request.query["containerInstance"] == "arn:new"
        assert agent.endpoints.asked == [INSTANCE, "arn:new"]
        assert (await metrics(again)).metadata == tcs.MetricsMetadata(
            "demo", "arn:new", fin=True, idle=True, message_id="name-3"
        )
        assert session.ws.closed or (await session.receive()).type is not WSMsgType.TEXT

    told(story)


def test_a_session_ends_where_the_instance_came_to_be_another() -> None:
    async def story(server: Server, agent: Agent, session: Accepted) -> None:
        agent.who.append(replace(WHO, instance_arn="arn:new"))
        await tick(agent)
        again = await server.accepted()

        assert again.request.query["containerInstance"] == "arn:new"
        metadata = (await metrics(again)).metadata
        assert metadata is not None
        assert metadata.container_instance == "arn:new"
        assert (await session.receive()).type is not WSMsgType.TEXT

    told(story)


def test_a_server_that_does_not_answer_our_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CLOSE_TIMEOUT", 0.05)

    async def story(server: Server, agent: Agent, _: Accepted) -> None:
        await agent.time.wake(INACTIVITY)
        await agent.time.wake(FIRST_WAIT)
        await server.accepted()

    told(story, answers_close=False)
