"""Tags of tasks and of the instance, asked of a server that answers as ECS does."""

import aiohttp
import pytest

from agent.aws.ecs_client import EcsClient, EcsSettings
from agent.aws.server_time_driver import ServerTime
from agent.aws.tags_client import TagsClient
from agent.model.credentials import SigningKeys
from agent.model.errors import TryAgain
from tests.aws.peers import NOON, REGION, EcsPeer, FixedKeys, an_ecs, run

ARN = "arn:aws:ecs:us-west-2:111122223333:task/demo/ab"
ATTEMPTS = 2


async def nothing(_seconds: float) -> None:
    return


async def ask(peer: EcsPeer, session: aiohttp.ClientSession, asker: str) -> dict[str, str]:
    settings = EcsSettings(REGION, "agent/1", peer.url, attempts=ATTEMPTS)
    time = ServerTime(lambda: NOON, lambda: 0.0)
    ecs = EcsClient(settings, session, FixedKeys(), server_time=time, sleep=nothing, draw=lambda: 0.0)
    return await TagsClient(ecs).resource_tags(ARN, asker)


@pytest.mark.parametrize(
    ("asker", "agent"), [("web", "agent/1 container/web"), ("", "agent/1"), ("a\nb", "agent/1"), ("ü", "agent/1")]
)
def test_ecs_is_asked_for_the_tags_and_told_which_container_wants_them(asker: str, agent: str) -> None:
    async def story() -> None:
        async with an_ecs() as peer, aiohttp.ClientSession() as session:
            peer.will({"tags": [{"key": "team", "value": "a"}, {"key": "bare"}]})

            assert await ask(peer, session, asker) == {"team": "a", "bare": ""}

            (call,) = peer.calls
            assert (call.action, call.body, call.signed) == ("ListTagsForResource", {"resourceArn": ARN}, True)
            assert call.headers["User-Agent"] == agent

    run(story())


@pytest.mark.parametrize(
    ("answer", "status", "lack"),
    [
        ({"__type": "AccessDeniedException", "message": "no"}, 400, "after 1 attempts: {}, AccessDeniedException: no"),
        ({"__type": "ThrottlingException", "message": "slow"}, 400, "after 2 attempts: {}, ThrottlingException: slow"),
    ],
)
def test_what_ecs_says_against_it_is_told_with_how_often_it_was_asked(
    answer: dict[str, str], status: int, lack: str
) -> None:
    async def story() -> None:
        async with an_ecs() as peer, aiohttp.ClientSession() as session:
            for _ in range(ATTEMPTS):
                peer.will(answer, status)

            with pytest.raises(TryAgain) as caught:
                await ask(peer, session, "web")

            assert str(caught.value) == lack.format("operation error ECS: ListTagsForResource")

    run(story())


def test_without_keys_nobody_is_asked() -> None:
    class NoKeys(FixedKeys):
        async def keys(self) -> SigningKeys:
            raise TryAgain("no keys")

    async def story() -> None:
        async with an_ecs() as peer, aiohttp.ClientSession() as session:
            ecs = EcsClient(EcsSettings(REGION, "agent/1", peer.url), session, NoKeys())
            with pytest.raises(TryAgain, match=r"after 1 attempts: .* no keys"):
                await TagsClient(ecs).resource_tags(ARN, "")

    run(story())
