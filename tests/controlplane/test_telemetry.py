"""Telemetry on a real socket: whose frames are heard, what is shown of them, and what becomes of the others."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import WSCloseCode
from structlog.testing import capture_logs

from agent.controlplane.auth import SignedRequest, verify
from agent.controlplane.events import AgentConnected
from agent.controlplane.faults import Fault
from agent.controlplane.keys_driver import KeyPair, mint_agent_key
from agent.controlplane.records import JsonObject
from agent.controlplane.telemetry import read_frame
from agent.model.clock import utc_now
from agent.model.errors import BadInput
from agent.wire.tcs import (
    ContainerHealth,
    HealthMetadata,
    HeartbeatMessage,
    InstanceStatus,
    MetricsMetadata,
    PublishHealthRequest,
    PublishInstanceStatusRequest,
    PublishMetricsRequest,
    TaskHealth,
    encode,
    stamp,
    unseal,
)
from agent.wire.tcs_metrics import ContainerMetric, TaskMetric, level_set
from tests.controlplane.desk import WEB
from tests.controlplane.hand_agent import register, signed_frame
from tests.controlplane.house import QUICK, SETTLED
from tests.controlplane.inside import REGION, Inside, inside, tcs

CHECKED: JsonObject = WEB | {"cpu": 0, "healthCheck": {"command": ["CMD", "true"]}}
CAPABLE = [
    *({"name": f"com.amazonaws.ecs.capability.docker-remote-api.{n}"} for n in ("1.18", "1.19", "1.24")),
    {"name": "ecs.capability.container-health-check"},
]
SINCE = datetime(2026, 1, 15, 12, 0, 0, 500_000, UTC)
OK = InstanceStatus(stamp(SINCE), stamp(SINCE + timedelta(seconds=25)), "OK", "ContainerRuntime")
REFUSED = "BadRequestException"


async def a_host(there: Inside) -> str:
    """A host of the first agent's."""
    client = there.house.client(there.house.keys.agent)
    arn = await asyncio.to_thread(register, client, "default", attributes=CAPABLE)
    await there.decide(AgentConnected(arn, "one", utc_now(), key=there.house.keys.agent.access_key_id))
    return arn


async def a_task(there: Inside) -> str:
    """A running task whose one container has a health check."""
    await there.call("RegisterTaskDefinition", family="web", containerDefinitions=[CHECKED])
    answer = await there.call("RunTask", taskDefinition="web")
    assert not answer["failures"], answer["failures"]
    arn: str = answer["tasks"][0]["taskArn"]
    await there.call("SubmitTaskStateChange", task=arn, status="RUNNING")
    return arn


def health(task: str, word: str, instance: str | None = None) -> bytes:
    containers = [ContainerHealth("web", word, stamp(SINCE))]
    metadata = HealthMetadata("default", instance, fin=True, message_id="c0de")
    return encode(PublishHealthRequest(metadata, [TaskHealth(containers, task, "web", "1")], stamp(SINCE)))


async def shown(there: Inside, task: str) -> str:
    """The task's health, and that of its container, as boto3 sees them."""
    answer = await asyncio.to_thread(there.house.client().describe_tasks, tasks=[task])
    [container] = answer["tasks"][0]["containers"]
    assert container["healthStatus"] == answer["tasks"][0]["healthStatus"]
    return container["healthStatus"]


def test_health_is_shown_as_it_was_told_and_is_known_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            host = await a_host(there)
            task = await a_task(there)
            async with tcs(there.house, host) as agent:
                assert await shown(there, task) == "UNKNOWN"
                for word in ("HEALTHY", "UNHEALTHY"):
                    await agent.publish(health(task, word, host))
                    assert await agent.next("AckPublishHealth") == {"message": "ok"}
                    assert await shown(there, task) == word
        async with inside(tmp_path) as again:
            assert await shown(again, task) == "UNHEALTHY"

    asyncio.run(story())


def test_the_health_of_the_host_is_shown_as_it_was_told_and_the_latest_figures_are_kept(tmp_path: Path) -> None:
    metric = ContainerMetric("web", level_set([0.5, 2.5]), level_set([40, 41]))

    async def story() -> None:
        async with inside(tmp_path) as there:
            host = await a_host(there)
            task = await a_task(there)
            async with tcs(there.house, host) as agent:
                unknown = InstanceStatus(stamp(SINCE), stamp(SINCE), "OK", "SomethingOfTomorrow")
                await agent.publish(encode(PublishInstanceStatusRequest(None, [OK, unknown])))
                await agent.next("AckPublishInstanceStatus")
                await agent.publish(encode(PublishMetricsRequest(None, [TaskMetric([metric], task, "web", "1")])))
                await agent.next("AckPublishMetric")
            answer = await asyncio.to_thread(
                there.house.client().describe_container_instances,
                containerInstances=[host],
                include=["CONTAINER_INSTANCE_HEALTH"],
            )
            status = answer["containerInstances"][0]["healthStatus"]
            assert status["overallStatus"] == "OK"
            [detail] = status["details"]
            assert (detail["type"], detail["status"]) == ("CONTAINER_RUNTIME", "OK")
            assert (detail["lastStatusChange"], detail["lastUpdated"]) == (SINCE, SINCE + timedelta(seconds=25))
            assert there.road._planes[REGION].figures.of(task)["web"].metric == metric

    asyncio.run(story())


@dataclass
class Lie:
    """A frame that says HEALTHY, and is not to be heard."""

    url: str
    pair: KeyPair
    stranger: KeyPair
    document: bytes

    def signed(self, pair: KeyPair | None = None, url: str = "", region: str = REGION) -> bytes:
        return signed_frame(url or self.url, pair or self.pair, self.document, region)

    def at(self, before: str, after: str) -> bytes:
        """Signed for another URL."""
        assert before in self.url
        return self.signed(url=self.url.replace(before, after))

    def changed(self, before: bytes, after: bytes) -> bytes:
        """Changed after it was signed."""
        sent = self.signed()
        assert sent.count(before) == 1
        return sent.replace(before, after)


LIES: dict[str, tuple[Callable[[Lie], bytes], str]] = {
    "no signature": (lambda lie: lie.document, "The request is not signed"),
    "another document": (lambda lie: lie.changed(b'"UNHEALTHY"', b'"HEALTHY"'), "does not match"),
    "an octet behind it": (lambda lie: lie.signed() + b"\n", "does not match"),
    "another session": (lambda lie: lie.at("1.105.1", "1.105.0"), "does not match"),
    "another path": (lambda lie: lie.at("/telemetry/ws", "/ws"), "does not match"),
    "another host": (lambda lie: lie.at("127.0.0.1", "elsewhere"), "for another host"),
    "another region": (lambda lie: lie.signed(region="eu-west-1"), "for another region"),
    "an unknown key": (lambda lie: lie.signed(KeyPair("AKIA" + "A" * 16, "secret")), "security token"),
    "a wrong secret": (lambda lie: lie.signed(KeyPair(lie.pair.access_key_id, "secret")), "does not match"),
    "another agent": (lambda lie: lie.signed(lie.stranger), "not authorized to perform: ecs:StartTelemetrySession"),
    "no date": (lambda lie: lie.changed(b"X-Amz-Date: ", b"X-Amz-Data: "), "X-Amz-Date must be"),
}


def test_who_sends_a_frame_that_is_not_signed_right_is_heard_no_longer(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            stranger = await asyncio.to_thread(mint_agent_key, tmp_path)
            host = await a_host(there)
            task = await a_task(there)
            for name, (make, reason) in LIES.items():
                async with tcs(there.house, host) as agent:
                    await agent.send(make(Lie(agent.url, agent.pair, stranger, health(task, "UNHEALTHY", host))))
                    told = await agent.next(REFUSED)
                    assert reason in told["message"], name
                    assert (await agent.end())[0] == WSCloseCode.POLICY_VIOLATION, name
            assert await shown(there, task) == "UNKNOWN"

    with capture_logs() as logs:
        asyncio.run(story())

    refusals = [entry for entry in logs if entry["event"] == "telemetry_not_taken"]
    assert len(refusals) == len(LIES)
    assert not any(name in str(logs) for name in ("Signature=", "HEALTHY"))


@pytest.mark.parametrize("minutes", [6, -6])
def test_a_frame_is_heard_near_the_time_that_it_is_signed_for(tmp_path: Path, minutes: int) -> None:
    ahead = timedelta()

    async def story() -> None:
        nonlocal ahead
        async with inside(tmp_path, clock=lambda: utc_now() + ahead) as there:
            host = await there.host()
            async with tcs(there.house, host) as agent:
                await agent.publish(encode(PublishHealthRequest()))
                await agent.next("AckPublishHealth")
                ahead = timedelta(minutes=minutes)
                await agent.publish(encode(PublishHealthRequest()))
                told = await agent.next(REFUSED)
                assert told["message"].startswith("Signature expired" if minutes > 0 else "Signature not yet current")
                assert (await agent.end())[0] == WSCloseCode.POLICY_VIOLATION

    asyncio.run(story())


def test_an_agent_that_tells_nothing_for_long_is_taken_for_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path, replace(QUICK, silence=0.05)) as there:
            host = await there.host()
            async with tcs(there.house, host) as agent, asyncio.timeout(SETTLED):
                assert await agent.end() == (WSCloseCode.GOING_AWAY, "the agent is silent")

    asyncio.run(story())


def test_a_signed_frame_that_makes_no_sense_is_refused_and_those_after_it_are_heard(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            host = await a_host(there)
            other = await there.host()
            task = await a_task(there)
            async with tcs(there.house, host) as agent:
                for document, error in (
                    (b"{", "InvalidParameterException"),
                    (health(task, "SPLENDID", host), "InvalidParameterException"),
                    (health(task, "UNHEALTHY", other), "ResourceValidationException"),
                    (encode(HeartbeatMessage(healthy=True)), "InvalidParameterException"),
                ):
                    await agent.publish(document)
                    assert (await agent.next(error))["message"]
                await agent.publish(health(task, "HEALTHY", host))
                await agent.next("AckPublishHealth")
                assert await shown(there, task) == "HEALTHY"

    asyncio.run(story())


def test_an_agent_that_tells_of_the_tasks_of_others_is_passed_over_and_that_is_said_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            await a_host(there)
            task = await a_task(there)
            other = await asyncio.to_thread(mint_agent_key, tmp_path)
            host = await asyncio.to_thread(register, there.house.client(other), "default")
            async with tcs(there.house, host, other) as agent:
                for _ in range(2):
                    await agent.publish(health(task, "UNHEALTHY", host))
                    await agent.next("AckPublishHealth")
            assert await shown(there, task) == "UNKNOWN"

    with capture_logs() as logs:
        asyncio.run(story())

    [entry] = [entry for entry in logs if entry["event"] == "telemetry_of_others_passed_over"]
    assert entry["tasks"] == 1


def test_health_that_cannot_be_saved_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        async def write(self, change: object) -> None:
            raise OSError("No space left on device")

    async def story() -> None:
        async with inside(tmp_path) as there:
            host = await a_host(there)
            task = await a_task(there)
            async with tcs(there.house, host) as agent:
                with monkeypatch.context() as full:
                    full.setattr(there.road, "_database", FullDisk())
                    await agent.publish(health(task, "HEALTHY", host))
                    await agent.next("ServerException")
                assert await shown(there, task) == "UNKNOWN"
                await agent.publish(health(task, "HEALTHY", host))
                await agent.next("AckPublishHealth")
                assert await shown(there, task) == "HEALTHY"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (health("t", "healthy"), "healthStatus"),
        (encode(PublishInstanceStatusRequest(None, [InstanceStatus(1, 1, "WELL", "ContainerRuntime")])), "status"),
        (encode(PublishInstanceStatusRequest(None, [InstanceStatus(1, 1e300, "OK", "ContainerRuntime")])), "timestamp"),
        (
            encode(PublishMetricsRequest(MetricsMetadata(), [TaskMetric()])).replace(b"{}]", b"7]"),
            "message.taskMetrics[0]",
        ),
    ],
)
def test_what_a_frame_gets_wrong_is_called_by_its_name(document: bytes, path: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_frame(document, "arn", SINCE)
    assert refused.value.path == path


def test_the_test_vector_of_a_frame_is_good_and_nothing_of_it_can_be_changed() -> None:
    arn = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef"
    frame = (
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-west-2/ecs/aws4_request,"
        " SignedHeaders=host;x-amz-date;x-amz-security-token,"
        " Signature=929c1010967431d2e9a867493eb150ace364ca537e77a8e5101c145b902a0931\r\n"
        "Host: tcs.test.example\r\nX-Amz-Date: 20260115T120000Z\r\nX-Amz-Security-Token: TOKENEXAMPLE\r\n\r\n"
        f'{{"type":"PublishMetricsRequest","message":{{"metadata":{{"cluster":"demo","containerInstance":"{arn}",'
        '"fin":true,"idle":true,"messageId":"5b0f7f0e-6c8e-4f4a-9d3e-0c7d9c7c2a11"},"timestamp":1768478400.123}}'
    ).encode()
    query = f"agentHash=a8b3e7d3&agentVersion=1.105.1&cluster=demo&containerInstance={arn}&dockerVersion=25.0.14"
    secrets = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}

    def signer(sent: bytes, asked: str = query) -> str:
        headers, document = unseal(sent)
        request = SignedRequest("GET", "/ws", asked, headers, document)
        return verify(request, secrets, datetime(2026, 1, 15, 12, tzinfo=UTC)).key_id

    assert signer(frame) == "AKIDEXAMPLE"
    for part, other in ((b"TOKENEXAMPLE", b"ANOTHER"), (b"tcs.test", b"tcs2.test"), (b'"idle":true', b'"idle":false')):
        with pytest.raises(Fault):
            signer(frame.replace(part, other))
    with pytest.raises(Fault):
        signer(frame, query.replace("25.0.14", "25.0.15"))
    assert read_frame(unseal(frame)[1], arn, SINCE)[1] == '{"type":"AckPublishMetric","message":{"message":"ok"}}'
