from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp
import msgspec
import pytest

from agent.aws.ecs_client import EcsClient, EcsSettings, TaskReports
from agent.aws.failures import EcsError
from agent.aws.retry import COST_AFTER_SILENCE, QUOTA
from agent.aws.server_time_driver import ServerTime
from agent.model.credentials import SigningKeys
from agent.model.errors import TryAgain
from agent.model.identity import Attribute, Resource
from agent.model.names import TaskArn
from agent.model.registration import Registered, Registration, RegistrationFailure
from agent.model.reports import TaskReport, Verdict
from agent.model.status import Status
from agent.reporter.ports import StateChanges
from tests.aws.peers import INSTANCE, NOON, REGION, EcsPeer, FixedKeys, an_ecs, run

REGISTRATION = Registration("demo", "token", "", (Resource("CPU", integer=1024),), (Attribute("ecs.os-type", "linux"),))
REPORT = TaskReport(TaskArn("arn:aws:ecs:us-west-2:111122223333:task/demo/ab"), Status.RUNNING, moved=True, at=NOON)
REGISTERED = {"containerInstance": {"containerInstanceArn": INSTANCE, "attributes": [{"name": "a", "value": "b"}]}}


@dataclass
class Story:
    """A client, the ECS it speaks to, and what both did."""

    ecs: EcsClient
    peer: EcsPeer
    keys: FixedKeys
    waits: list[float] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)


@asynccontextmanager
async def a_story(keys: SigningKeys | None = None, endpoint: str = "") -> AsyncIterator[Story]:
    found = FixedKeys(keys) if keys else FixedKeys()
    waits: list[float] = []
    heard: list[int] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with an_ecs() as peer, aiohttp.ClientSession() as session:
        client = EcsClient(
            EcsSettings(REGION, "Amazon ECS Agent - v1 dockworker/1", endpoint or peer.url),
            session,
            found,
            server_time=ServerTime(lambda: NOON, lambda: 0.0),
            sleep=sleep,
            draw=lambda: 0.5,
            heard=lambda: heard.append(1),
        )
        yield Story(client, peer, found, waits, heard)


def test_a_registration_travels_as_signed_json_and_its_answer_is_read() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(REGISTERED)
            answer = await s.ecs.register(REGISTRATION)

            assert answer == Registered(INSTANCE, (Attribute("a", "b"),))
            (call,) = s.peer.calls
            assert call.signed
            assert call.action == "RegisterContainerInstance"
            assert call.headers["Content-Type"] == "application/x-amz-json-1.1"
            assert call.headers["X-Amz-Target"].startswith("AmazonEC2ContainerServiceV20141113.")
            assert call.headers["User-Agent"] == "Amazon ECS Agent - v1 dockworker/1"
            assert call.headers["Amz-Sdk-Request"] == "attempt=1; max=3"
            assert s.heard == [1]

    run(story())


def test_a_signature_with_a_wrong_date_is_made_anew_with_the_servers_even_for_a_call_that_is_never_repeated() -> None:
    async def story() -> None:
        async with a_story() as s:
            body = {"__type": "InvalidSignatureException", "message": "Signature expired"}
            later = "Thu, 15 Jan 2026 13:00:00 GMT"
            s.peer.will(body, 400, Date=later).will({}, Date=later)
            verdict = await s.ecs.submit(REPORT, "demo")
            assert verdict is Verdict.SETTLED
            assert [call.headers["X-Amz-Date"] for call in s.peer.calls] == ["20260115T120000Z", "20260115T130000Z"]
            assert all(call.signed for call in s.peer.calls)
            assert s.keys.forgotten == 0
            assert s.waits == []
            await s.ecs.submit(REPORT, "demo")
            assert s.peer.calls[-1].headers["X-Amz-Date"] == "20260115T130000Z", "the next one is right at once"

    run(story())


def test_a_signature_that_is_refused_at_the_right_time_is_refused() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will({"__type": "InvalidSignatureException"}, 400, Date="Thu, 15 Jan 2026 12:00:03 GMT")
            assert await s.ecs.submit(REPORT, "demo") is Verdict.LATER
            assert len(s.peer.calls) == 1
            assert s.keys.forgotten == 1

    run(story())


def test_a_call_that_is_throttled_is_repeated_as_the_same_call() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.fails("ThrottlingException").will(b"<html>", 502).will(REGISTERED)
            await s.ecs.register(REGISTRATION)

            assert s.waits == [1.0, 2.0]
            assert [call.body["clientToken"] for call in s.peer.calls] == ["token"] * 3
            assert len({call.headers["Amz-Sdk-Invocation-Id"] for call in s.peer.calls}) == 1
            assert s.peer.calls[2].headers["Amz-Sdk-Request"] == "attempt=3; max=3"

    run(story())


def test_a_call_fails_for_good_after_the_third_attempt() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.fails("ServerException", 500, "oops")
            with pytest.raises(RegistrationFailure) as caught:
                await s.ecs.register(REGISTRATION)

            assert (caught.value.code, caught.value.message) == ("ServerException", "oops")
            assert len(s.peer.calls) == 3
            assert s.heard == []

    run(story())


def test_a_refusal_is_not_repeated_and_the_header_names_it_first() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will({"__type": "Other", "Message": "bad"}, 400, X_Amzn_ErrorType="ns#ClientException:http://x")
            with pytest.raises(RegistrationFailure) as caught:
                await s.ecs.create_cluster("default")

            assert (caught.value.code, caught.value.message) == ("ClientException", "bad")
            assert len(s.peer.calls) == 1

    run(story())


def test_an_ecs_that_is_not_there_is_a_network_failure_without_a_code() -> None:
    async def story() -> None:
        async with a_story(endpoint="http://127.0.0.1:1") as s:
            with pytest.raises(RegistrationFailure, match=r"cannot reach ECS at http://127\.0\.0\.1:1/") as caught:
                await s.ecs.register(REGISTRATION)
            assert caught.value.code == ""
            assert len(s.waits) == 2

    run(story())


@pytest.mark.parametrize("body", [b"", b"not json", b'{"containerInstance": null}', b"\xff"])
def test_an_answer_that_makes_no_sense_is_a_failure_and_no_crash(body: bytes) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(body)
            with pytest.raises(RegistrationFailure, match="cannot read the answer to RegisterContainerInstance"):
                await s.ecs.register(REGISTRATION)

    run(story())


def test_without_keys_nothing_is_sent() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.keys.found = None
            with pytest.raises(RegistrationFailure, match="no keys here"):
                await s.ecs.register(REGISTRATION)
            with pytest.raises(TryAgain):
                await s.ecs.discover("demo", INSTANCE)
            assert await s.ecs.submit(REPORT, "demo") is Verdict.LATER
            assert s.peer.calls == []

    run(story())


def test_keys_that_ecs_refuses_are_looked_for_afresh() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.fails("UnrecognizedClientException")
            with pytest.raises(EcsError):
                await s.ecs.discover("demo", INSTANCE)
            assert s.keys.forgotten == 1

    run(story())


def test_a_created_cluster_gives_its_name() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will({"cluster": {"clusterName": "default", "status": "ACTIVE"}})
            assert await s.ecs.create_cluster("default") == "default"
            assert s.peer.calls[0].body == {"clusterName": "default"}

    run(story())


def test_an_instance_is_drained_and_a_refusal_says_why() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will({"containerInstances": [{"status": "DRAINING"}], "failures": []})
            s.peer.will({"failures": [{"arn": INSTANCE, "reason": "INACTIVE"}]})
            assert await s.ecs.set_state("demo", INSTANCE, "DRAINING") == ""
            assert await s.ecs.set_state("demo", INSTANCE, "ACTIVE") == "INACTIVE"
            (first, second) = s.peer.calls
            assert first.action == "UpdateContainerInstancesState"
            assert first.body == {"cluster": "demo", "containerInstances": [INSTANCE], "status": "DRAINING"}
            assert second.body["status"] == "ACTIVE"

    run(story())


def test_a_report_is_sent_once_and_any_success_settles_it() -> None:
    async def story() -> None:
        async with a_story() as s:
            reports: StateChanges = TaskReports(s.ecs, "demo")
            s.peer.will(b"{}").fails("ServerException", 500).fails("InvalidParameterException").fails("ClientException")
            verdicts = [await reports.submit(REPORT) for _ in range(4)]

            assert verdicts == [Verdict.SETTLED, Verdict.LATER, Verdict.REFUSED, Verdict.HELD]
            assert s.waits == []
            assert s.peer.calls[0].body == {"cluster": "demo", "task": REPORT.task, "status": "RUNNING", "reason": ""}
            assert s.peer.calls[0].body == s.peer.calls[1].body

    run(story())


def test_repeats_end_when_their_quota_is_spent_and_single_calls_go_on() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.fails("ServerException", 500)
            for _ in range(51):
                with pytest.raises(EcsError):
                    await s.ecs.discover("demo", INSTANCE)
            assert len(s.peer.calls) == 50 * 3 + 1
            s.peer.replies.clear()
            s.peer.will({"endpoint": "http://h/"})
            await s.ecs.discover("demo", INSTANCE)

    run(story())


def test_without_an_endpoint_amazons_is_used() -> None:
    async def story() -> str:
        async with EcsClient.open(EcsSettings("eu-central-1", "ua"), FixedKeys()) as client:
            return client.url

    assert run(story()) == "https://ecs.eu-central-1.amazonaws.com/"


def test_a_redirect_is_not_followed_with_our_signature() -> None:
    async def story() -> None:
        async with a_story() as s, an_ecs() as other:
            s.peer.will(b"", 307, Location=other.url)
            with pytest.raises(EcsError, match="HTTP status 307"):
                await s.ecs.discover("demo", INSTANCE)
            assert other.calls == []

    run(story())


def test_the_time_of_a_signature_is_the_time_of_the_attempt() -> None:
    async def story() -> None:
        async with a_story() as s:
            moments = [NOON, datetime(2026, 1, 15, 12, 0, 2, tzinfo=UTC)]
            s.ecs._time = ServerTime(lambda: moments[len(s.peer.calls)], lambda: 0.0)
            s.peer.fails("SlowDown").will(msgspec.json.encode({"endpoint": "http://h/"}))
            moments.append(moments[-1])
            await s.ecs.discover("demo", INSTANCE)

            assert [c.headers["X-Amz-Date"] for c in s.peer.calls] == ["20260115T120000Z", "20260115T120002Z"]
            assert all(c.signed for c in s.peer.calls)

    run(story())


def test_an_ecs_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.aws.ecs_client.TIMEOUT", aiohttp.ClientTimeout(total=0.05))

    async def story() -> None:
        async with a_story() as s:
            s.peer.hangs = True
            with pytest.raises(RegistrationFailure, match="did not answer CreateCluster in time"):
                await s.ecs.create_cluster("default")
            assert s.ecs._quota.left == QUOTA - 2 * COST_AFTER_SILENCE
            assert await s.ecs.submit(REPORT, "demo") is Verdict.LATER

    run(story())


def test_an_instance_is_deregistered_with_whatever_ecs_has_on_it() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(b"{}")
            await s.ecs.deregister("demo", INSTANCE)
            assert s.peer.calls[0].body == {"cluster": "demo", "containerInstance": INSTANCE, "force": True}

    run(story())


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ("demo", "demo"),
        ("arn:aws:ecs:us-west-2:111122223333:cluster/demo", "arn:aws:ecs:us-west-2:111122223333:cluster/demo"),
        ("moved-here", "demo"),
    ],
)
def test_a_task_is_told_of_in_its_own_cluster_also_by_an_instance_that_has_moved(ours: str, said: str) -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(b"{}")
            await TaskReports(s.ecs, ours).submit(REPORT)
            assert s.peer.calls[0].body["cluster"] == said

    run(story())


def test_a_task_with_an_arn_of_the_old_kind_is_told_of_in_our_cluster() -> None:
    async def story() -> None:
        async with a_story() as s:
            s.peer.will(b"{}")
            report = replace(REPORT, task=TaskArn("arn:aws:ecs:us-west-2:111122223333:task/ab"))
            await TaskReports(s.ecs, "demo").submit(report)
            assert s.peer.calls[0].body["cluster"] == "demo"

    run(story())
