import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from agent.acs.ports import PollEndpoints
from agent.aws.ecs_client import EcsClient, EcsSettings
from agent.aws.poll_client import KEPT_FOR, PollEndpointsClient
from agent.config.settings import Settings
from agent.model.errors import InactiveInstance, TryAgain
from tests.aws.peers import INSTANCE, REGION, EcsPeer, FixedKeys, an_ecs, run

ANSWER = {"endpoint": "http://acs.example/", "telemetryEndpoint": "http://tcs.example/"}


@dataclass
class Story:
    poll: PollEndpointsClient
    peer: EcsPeer
    now: float = 0.0


@asynccontextmanager
async def a_story() -> AsyncIterator[Story]:
    async def sleep(seconds: float) -> None:
        del seconds

    async with an_ecs() as peer, aiohttp.ClientSession() as session:
        ecs = EcsClient(EcsSettings(REGION, "ua", peer.url), session, FixedKeys(), sleep=sleep)
        story = Story(PollEndpointsClient(ecs, "demo", monotonic=lambda: story.now), peer)
        yield story


def test_the_zone_is_sent_even_though_it_is_empty() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(ANSWER)
            poll: PollEndpoints = s.poll
            assert await poll.acs_endpoint(INSTANCE) == "http://acs.example/"
            assert s.peer.calls[0].body == {"cluster": "demo", "containerInstance": INSTANCE, "zoneId": ""}

    run(story())


def test_an_answer_serves_both_channels_for_twelve_hours() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(ANSWER)
            await s.poll.acs_endpoint(INSTANCE)
            s.now = KEPT_FOR - 1
            assert await s.poll.telemetry_endpoint(INSTANCE) == "http://tcs.example/"
            assert len(s.peer.calls) == 1
            s.now = KEPT_FOR
            await s.poll.acs_endpoint(INSTANCE)
            assert len(s.peer.calls) == 2

    run(story())


def test_an_old_answer_serves_while_ecs_is_away() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(ANSWER).fails("ServerException", 500)
            await s.poll.acs_endpoint(INSTANCE)
            s.poll.forget()
            assert await s.poll.acs_endpoint(INSTANCE) == "http://acs.example/"
            assert len(s.peer.calls) == 4
            s.peer.replies.clear()
            s.peer.will({"endpoint": "http://moved.example/"})
            assert await s.poll.acs_endpoint(INSTANCE) == "http://moved.example/"

    run(story())


def test_a_pinned_endpoint_is_never_asked_for_and_the_other_one_is() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(ANSWER)
            acs = PollEndpointsClient.of(s.poll._ecs, "demo", Settings(agent_endpoint="https://acs.here"))
            assert await acs.acs_endpoint(INSTANCE) == "https://acs.here"
            acs.forget()
            assert await acs.acs_endpoint(INSTANCE) == "https://acs.here"
            assert s.peer.calls == []
            assert await acs.telemetry_endpoint(INSTANCE) == "http://tcs.example/"
            assert len(s.peer.calls) == 1
            both = Settings(agent_endpoint="https://acs.here", telemetry_endpoint="http://tcs.here")
            pinned = PollEndpointsClient.of(s.poll._ecs, "demo", both)
            assert await pinned.telemetry_endpoint(INSTANCE) == "http://tcs.here"
            assert len(s.peer.calls) == 1

    run(story())


def test_two_who_ask_at_once_make_one_call() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(ANSWER)
            await asyncio.gather(s.poll.acs_endpoint(INSTANCE), s.poll.telemetry_endpoint(INSTANCE))
            assert len(s.peer.calls) == 1

    run(story())


@pytest.mark.parametrize("endpoint", [None, "", "ws://acs.example", "wss://acs.example", "acs.example", "http://["])
def test_an_endpoint_that_nobody_can_connect_to_is_refused_and_not_kept(endpoint: str | None) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will({"endpoint": endpoint}).will(ANSWER)
            with pytest.raises(TryAgain, match="DiscoverPollEndpoint gave"):
                await s.poll.acs_endpoint(INSTANCE)
            assert await s.poll.acs_endpoint(INSTANCE) == "http://acs.example/"

    run(story())


def test_a_missing_telemetry_endpoint_hurts_telemetry_alone() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will({"endpoint": "http://acs.example"})
            assert await s.poll.acs_endpoint(INSTANCE) == "http://acs.example"
            with pytest.raises(TryAgain, match="no telemetryEndpoint"):
                await s.poll.telemetry_endpoint(INSTANCE)

    run(story())


def test_a_deregistered_instance_is_told_apart_even_with_an_old_answer_at_hand() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(ANSWER).fails("ClientException", message="InactiveInstanceException: it was deregistered")
            await s.poll.acs_endpoint(INSTANCE)
            s.poll.forget()
            with pytest.raises(InactiveInstance):
                await s.poll.acs_endpoint(INSTANCE)

    run(story())
