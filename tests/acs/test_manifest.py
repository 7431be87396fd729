"""ECS's list of tasks: read, answered after its number is saved, and verified."""

import asyncio
import json
from typing import Any

import pytest

from agent.acs.heard import Heard
from agent.acs.session import answers, received
from agent.model.decision import ManifestTaken
from agent.model.events import ManifestHeard, StopsVerified
from agent.model.names import TaskArn
from agent.wire import acs
from tests.acs.world import a_server, an_agent
from tests.engine.rows import T0
from tests.wire.acs_samples import INSTANCE

ONE, TWO = TaskArn("arn:one"), TaskArn("arn:two")
LIST: dict[str, Any] = {"messageId": "tm-1", "clusterArn": "demo", "containerInstanceArn": INSTANCE, "timeline": 20}
ACK = ("AckRequest", {"cluster": "demo", "containerInstance": INSTANCE, "messageId": "tm-1"})


def hear(kind: str, latest: int = 0, **message: object) -> Heard:
    return received(json.dumps({"type": kind, "message": message}), T0, lambda: "00" * 20, latest)


def listed(arn: str | None, status: str | None = "RUNNING") -> dict[str, str | None]:
    return {"taskArn": arn, "taskClusterArn": "demo", "desiredStatus": status}


def test_what_is_on_the_list_as_running_is_wanted_here() -> None:
    heard = hear("TaskManifestMessage", **LIST, tasks=[listed(ONE), listed(TWO, "STOPPED")])

    assert heard.events == (ManifestHeard("tm-1", 20, frozenset({ONE}), T0, "tm-1"),)
    assert heard.acks == (), "what is answered depends on what the engine makes of it"


def test_a_list_that_is_no_newer_than_a_payload_is_not_answered() -> None:
    for latest in (20, 21):
        heard = hear("TaskManifestMessage", latest, **LIST)
        assert (heard.events, heard.manifest, heard.understood) == ((), None, True)
        assert [note.event for note in heard.notes] == ["acs_manifest_outdated"]
    assert hear("PayloadMessage", **{**LIST, "seqNum": 7}).seq == 7


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"messageId": ""}, "messageId: must not be empty"),
        ({"clusterArn": None}, "clusterArn: must not be empty"),
        ({"containerInstanceArn": ""}, "containerInstanceArn: must not be empty"),
        ({"tasks": [listed(ONE), listed(None)]}, "tasks[1]: must have a taskArn and a desiredStatus"),
        ({"tasks": [listed(ONE, None)]}, "tasks[0]: must have a taskArn and a desiredStatus"),
    ],
)
def test_a_list_that_is_not_whole_is_dropped_by_the_field_and_the_rule(changes: dict[str, Any], error: str) -> None:
    heard = hear("TaskManifestMessage", **{**LIST, **changes})

    assert (heard.events, heard.manifest) == ((), None)
    assert [(note.event, note.fields["error"]) for note in heard.notes] == [("acs_message_dropped", error)]


def test_ecs_is_asked_about_what_is_not_on_its_list_and_about_nothing_else() -> None:
    manifest = acs.TaskManifestMessage("tm-1", "demo", INSTANCE)
    ack = acs.AckRequest("demo", INSTANCE, "tm-1")

    assert answers(manifest, ()) == (ack,)
    candidate = acs.TaskIdentifier(ONE, "demo", "STOPPED")
    assert answers(manifest, (ONE,)) == (ack, acs.TaskStopVerificationMessage("tm-1", [candidate]))


def test_the_answer_names_what_is_to_stop_and_no_full_disk_holds_it_back() -> None:
    heard = hear("TaskStopVerificationAck", messageId="tm-1", stopTasks=[listed(ONE, "STOPPED"), listed(TWO, None)])

    assert heard.events == (StopsVerified("tm-1", (ONE, TWO), T0, "tm-1"),)
    assert heard.acks == heard.replies == ()
    assert heard.wants_a_stop


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"stopTasks": [listed(ONE)]}, "messageId: must not be empty"),
        ({"messageId": "m", "stopTasks": [listed(None)]}, "stopTasks[0].taskArn: must not be empty"),
        ({"messageId": "m", "stopTasks": [listed(ONE)]}, "stopTasks[0].desiredStatus: must be STOPPED"),
    ],
)
def test_an_answer_that_may_mean_something_else_stops_nothing(message: dict[str, Any], error: str) -> None:
    heard = hear("TaskStopVerificationAck", **message)

    assert heard.events == ()
    assert [note.fields["error"] for note in heard.notes] == [error]


def test_a_list_is_answered_after_its_number_is_saved_and_once() -> None:
    async def story() -> None:
        async with a_server() as server, an_agent(server.url, holds=True) as agent:
            ecs = await server.accepted()
            for _ in range(2):
                await ecs.tell("TaskManifestMessage", **LIST)
            await agent.engine.got(2)
            agent.manifests.hear([ManifestTaken("tm-1", 20, (ONE,))])
            await ecs.tell("HeartbeatMessage", messageId="hb")
            assert await ecs.hear() == ("HeartbeatAckRequest", {"messageId": "hb"})

            for commit in agent.engine.commits:
                commit.set_result(None)

            assert await ecs.hear() == ACK
            asked = {"messageId": "tm-1", "stopCandidates": [listed(ONE, "STOPPED")]}
            assert await ecs.hear() == ("TaskStopVerificationMessage", asked)
            await ecs.tell("HeartbeatMessage", messageId="hb")
            assert (await ecs.hear())[0] == "HeartbeatAckRequest", "a list that is heard twice is answered once"

    asyncio.run(story())


def test_the_lists_of_an_instance_that_is_renewed_are_counted_anew() -> None:
    async def story() -> None:
        async def renew() -> str:
            return "arn:new"

        async with a_server() as server, an_agent(server.url, renew=renew) as agent:
            ecs = await server.accepted()
            await ecs.tell("PayloadMessage", **{**LIST, "messageId": "p", "seqNum": 99})
            assert (await ecs.hear())[0] == "AckRequest"
            await ecs.ws.close(code=1008, message=b"InactiveInstanceException: gone")
            await agent.time.wake(60.0)
            ecs = await server.accepted()
            await ecs.tell("TaskManifestMessage", **LIST)
            await agent.engine.got(1)

    asyncio.run(story())
