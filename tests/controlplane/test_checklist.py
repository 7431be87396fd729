"""What a control plane must do so that agents are at home with it, point by point, in bytes on a real socket."""

import asyncio
import json
import sqlite3
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import WSCloseCode
from structlog.testing import capture_logs

from agent.controlplane.events import AttachmentWanted, PlaneDecision, UpdateWanted
from agent.controlplane.faults import Fault
from agent.controlplane.keys_driver import mint_agent_key
from agent.controlplane.notices import VOLUME
from agent.controlplane.records import PlaneTask
from agent.controlplane.refusals_server import refusal
from agent.controlplane.road_loop import Disk
from agent.controlplane.settings import Cadence
from agent.model.clock import utc_now
from tests.controlplane.desk import WEB
from tests.controlplane.hand_agent import poll_query, register
from tests.controlplane.house import SETTLED
from tests.controlplane.inside import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FINAL,
    PING,
    PONG,
    TEXT,
    Inside,
    acs,
    close_frame,
    frame,
    inside,
    tcs,
    wire,
)

T = TypeVar("T")
EXPIRED = "ConnectionExpired: Reconnect to continue"
HEADERS = b"Authorization: AWS4-HMAC-SHA256 whatever\r\nHost: x\r\n\r\n"


async def a_task(there: Inside) -> str:
    """A task that is owed to the one host there is."""
    await there.call(
        "RegisterTaskDefinition", family="web", containerDefinitions=[WEB | {"cpu": 0, "dockerLabels": {"a": "b"}}]
    )
    answer = await there.call("RunTask", taskDefinition="web")
    assert not answer["failures"], answer["failures"]
    arn: str = answer["tasks"][0]["taskArn"]
    return arn


def acknowledged(decision: PlaneDecision) -> set[str]:
    """The tasks whose start a decision notes as acknowledged."""
    after = (change.after for change in decision.changes)
    return {task.arn for task in after if isinstance(task, PlaneTask) and task.run_acked}


def test_extensions_are_never_agreed_on_and_fragments_are_put_together(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn, **{"Sec-WebSocket-Extensions": "permessage-deflate"}) as agent:
                assert agent.head.startswith("HTTP/1.1 101 ")
                assert "extensions" not in agent.head.lower()
                task = await a_task(there)
                payload = await agent.next("PayloadMessage")
                ack = frame("AckRequest", cluster="default", containerInstance=arn, messageId=payload["messageId"])
                await agent.send(ack[:20], last=False)
                await agent.send(ack[20:50], CONTINUATION, last=False)
                await agent.send(ack[50:], CONTINUATION)
                await there.until(lambda decision: acknowledged(decision) == {task})

    asyncio.run(story())


def test_one_task_goes_in_one_payload_whose_parts_are_strings_and_which_leaves_nothing_to_a_default(
    tmp_path: Path,
) -> None:
    async def story() -> dict[str, Any]:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn) as agent:
                first = await agent.next("TaskManifestMessage")
                await a_task(there)
                payload = await agent.next("PayloadMessage")
                assert payload["seqNum"] == payload["timeline"] > first["timeline"] >= 1
                assert (payload["clusterArn"].rpartition(":")[2], payload["containerInstanceArn"]) == (
                    "cluster/default",
                    arn,
                )
                return payload

    [task] = asyncio.run(story())["tasks"]
    assert (task["family"], task["version"], task["desiredStatus"]) == ("web", "1", "RUNNING")
    [container] = task["containers"]
    assert container["essential"] is True
    for name in ("config", "hostConfig"):
        assert isinstance(json.loads(container["dockerConfig"][name]), dict)
    assert isinstance(json.loads(container.get("overrides", "{}")), dict)


def test_the_same_message_comes_until_it_is_acknowledged_in_any_order_by_any_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn) as agent:
                first = await a_task(there)
                await a_task(there)
                names = [(await agent.next("PayloadMessage"))["messageId"] for _ in range(4)]
                assert names[:2] == names[2:]
            async with acs(there.house, arn) as agent:
                for name in (names[1], names[1], names[0], "of nobody"):
                    await agent.say("AckRequest", cluster="default", containerInstance=arn, messageId=name)
                await there.until(lambda decision: acknowledged(decision) == {first})
                await agent.next("HeartbeatMessage")

    asyncio.run(story())


def test_the_list_of_tasks_comes_anew_until_it_is_acknowledged_by_an_agent_that_does_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn) as agent:
                told = [await agent.receive() for _ in range(6)]
                assert sum(b"TaskManifestMessage" in data for _, data in told) == 1, "nobody would acknowledge it"
            full_sync = [{"name": "ecs.capability.full-sync"}]
            await there.call("RegisterContainerInstance", containerInstanceArn=arn, attributes=full_sync)
            async with acs(there.house, arn) as agent:
                first, second = [await agent.next("TaskManifestMessage") for _ in range(2)]
                assert second["timeline"] > first["timeline"], "an old number would be passed over in silence"
                await agent.say("AckRequest", cluster="x", containerInstance=arn, messageId=second["messageId"])
                await agent.next("HeartbeatMessage")
                told = [await agent.receive() for _ in range(4)]
                assert all(b"HeartbeatMessage" in data for _, data in told), told

    asyncio.run(story())


def test_a_close_is_answered_by_a_close(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            for way in (acs, tcs):
                async with way(there.house, arn) as agent:
                    await agent.next("HeartbeatMessage")
                    await agent.send(close_frame(1000, EXPIRED), CLOSE)
                    assert (await agent.end())[0] == 1000

    asyncio.run(story())


def test_a_session_that_has_lasted_long_enough_is_closed_so_that_the_agent_comes_back_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            inside(tmp_path, Cadence(heartbeat=0.1, resend=0.1, silence=5.0, life=0.3)) as there,
            acs(there.house, await there.host()) as agent,
        ):
            assert await agent.next("CloseMessage") == {"message": EXPIRED}
            assert await agent.end() == (1000, EXPIRED)

    asyncio.run(story())


def test_an_agent_that_answers_everything_but_heartbeats_is_let_go(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            inside(tmp_path, Cadence(heartbeat=0.1, resend=0.1, silence=0.4)) as there,
            acs(there.house, await there.host()) as agent,
        ):
            while True:
                opcode, data = await agent.receive()
                if opcode == CLOSE:
                    break
                assert opcode == TEXT
                await agent.say("AckRequest", cluster="x", containerInstance="y", messageId="z")
            assert data[2:] == b"the agent does not answer heartbeats"

    asyncio.run(story())


def test_an_agent_that_answers_every_other_heartbeat_stays(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            inside(tmp_path, Cadence(heartbeat=0.05, resend=0.05, silence=0.4)) as there,
            acs(there.house, await there.host()) as agent,
        ):
            for _ in range(8):
                await agent.next("HeartbeatMessage", answers=False)
                second = await agent.next("HeartbeatMessage", answers=False)
                for name in (second["messageId"], "of nobody"):
                    await agent.say("HeartbeatAckRequest", messageId=name)

    asyncio.run(story())


def test_an_agent_that_promised_no_answers_to_heartbeats_need_only_be_there(tmp_path: Path) -> None:
    """Agents of protocol version 1 have nothing to say for hours: the pong of their socket has to do."""

    async def story() -> None:
        async with inside(tmp_path, Cadence(heartbeat=0.1, resend=0.1, silence=0.3)) as there:
            arn = await there.host()
            query = poll_query(arn) | {"protocolVersion": "1"}
            async with wire(there.house, "/ws", query, there.house.keys.agent) as agent:
                beats = 0
                while beats < 10:
                    opcode, data = await agent.receive()
                    if opcode == PING:
                        await agent.send(data, PONG)
                    else:
                        assert opcode == TEXT, (opcode, data)
                        beats += json.loads(data)["type"] == "HeartbeatMessage"
                while opcode in (PING, TEXT):  # from here on it is not there any more
                    opcode, _ = await agent.receive()

    asyncio.run(story())


def test_where_nobody_signs_telemetry_is_acknowledged_in_each_form_that_agents_send(tmp_path: Path) -> None:
    large = frame("PublishMetricsRequest", metadata={"messageId": "1", "fin": True}, note="x" * 2_500_000)

    async def story() -> None:
        async with inside(tmp_path, auth=False) as there, tcs(there.house, await there.host()) as agent:
            beat = await agent.next("HeartbeatMessage", answers=False)
            assert "messageId" not in beat
            for opcode, sent, answer in (
                (TEXT, HEADERS + frame("PublishMetricsRequest", idle=True), "AckPublishMetric"),
                (TEXT, HEADERS + frame("PublishHealthRequest", tasks=[]) + b"\r\n", "AckPublishHealth"),
                (BINARY, frame("PublishInstanceStatusRequest", statuses=[]), "AckPublishInstanceStatus"),
                (TEXT, HEADERS + large, "AckPublishMetric"),
            ):
                await agent.send(sent, opcode)
                assert await agent.next(answer) == {"message": "ok"}
            for nonsense in (b"", b"{", HEADERS, frame("Whatever"), b"\xff\xfe"):
                await agent.send(nonsense, BINARY)
            await agent.send(frame("PublishHealthRequest"))
            await agent.next("AckPublishHealth")

    asyncio.run(story())


def test_a_frame_that_is_too_large_ends_the_session_before_it_is_read_and_the_log_says_who_ended_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            for way in (acs, tcs):
                async with way(there.house, arn) as agent:
                    agent.writer.write(bytes([FINAL | TEXT, 0xFF]) + struct.pack("!Q", 5 * 1024**2) + b"mask")
                    assert (await agent.end())[0] == WSCloseCode.MESSAGE_TOO_BIG

    with capture_logs() as logs:
        asyncio.run(story())

    ends = [(entry["code"], entry["reason"]) for entry in logs if entry["event"].endswith("_session_ended")]
    assert [code for code, _ in ends] == [WSCloseCode.MESSAGE_TOO_BIG] * 2
    assert all(reason.startswith("the agent broke the protocol: Message size 5242880") for _, reason in ends)


def test_a_deregistered_instance_is_told_so_on_both_ways_and_refused_on_both(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn) as one, tcs(there.house, arn) as other:
                await there.call("DeregisterContainerInstance", containerInstance=arn)
                for agent in (one, other):
                    code, reason = await agent.end()
                    assert code == 1008
                    assert reason.startswith("InactiveInstanceException")
            for way in (acs, tcs):
                async with way(there.house, arn) as agent:
                    assert agent.head.startswith("HTTP/1.1 400 ")
                    body = await agent.reader.readuntil(b"}")
                    assert json.loads(body) == {"InactiveInstanceException": "The container instance is deregistered."}

    asyncio.run(story())


class FullDisk:
    """A real database that takes nothing for a while."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.refused = asyncio.Event()
        self.full = True

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        if self.full:
            self.refused.set()
            raise OSError("No space left on device")
        return await self.disk.write(change)


def test_a_full_disk_puts_the_list_of_tasks_off_and_keeps_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with inside(tmp_path, Cadence(heartbeat=0.15, resend=0.2, silence=5.0)) as there:
            full_sync = [{"name": "ecs.capability.full-sync"}]
            answer = await there.call("RegisterContainerInstance", cluster="default", attributes=full_sync)
            async with acs(there.house, answer["containerInstance"]["containerInstanceArn"]) as agent:
                first = await agent.next("TaskManifestMessage")
                disk = FullDisk(there.road._database)
                monkeypatch.setattr(there.road, "_database", disk)
                async with asyncio.timeout(SETTLED):
                    await disk.refused.wait()
                disk.full = False
                assert (await agent.next("TaskManifestMessage"))["timeline"] > first["timeline"]

    asyncio.run(story())


class SlowDisk:
    """A real database that answers when it is told to."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.goes_on = asyncio.Event()

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        await self.goes_on.wait()
        return await self.disk.write(change)


def test_a_session_that_a_slow_disk_kept_from_opening_is_not_held_for_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            disk = SlowDisk(there.road._database)
            monkeypatch.setattr(there.road, "_database", disk)
            with monkeypatch.context() as patience:
                patience.setattr("agent.controlplane.road_loop.WAIT_FOR_DISK", 0.1)
                async with acs(there.house, arn) as agent:
                    assert agent.head.startswith("HTTP/1.1 500 ")
            disk.goes_on.set()
            await there.call("DescribeClusters")
            assert there.instance(arn).connection, "it was saved in the end"

            await there.acs.say_again()

            assert not there.instance(arn).connection

    asyncio.run(story())


def test_telemetry_ends_with_the_instance_though_its_agent_had_no_other_session(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with tcs(there.house, arn) as agent:
                await agent.next("HeartbeatMessage")
                await there.call("DeregisterContainerInstance", containerInstance=arn)
                code, reason = await agent.end()
                assert (code, reason.partition(":")[0]) == (1008, "InactiveInstanceException")

    asyncio.run(story())


@pytest.mark.parametrize("code", ["InactiveInstanceException", "InvalidInstanceException", "AccessDeniedException"])
def test_a_refusal_fits_into_what_an_agent_reads_of_it_and_names_itself(code: str) -> None:
    body = refusal(Fault(code, "é" * 5000)).body

    assert isinstance(body, bytes)
    assert len(body) <= 1024
    assert code in str(json.loads(body))


def test_a_poll_endpoint_is_given_to_whoever_asks_in_whatever_way(tmp_path: Path) -> None:
    async def story() -> list[dict[str, Any]]:
        async with inside(tmp_path) as there:
            arn = await there.host()
            cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
            return [
                await there.call("DiscoverPollEndpoint", **request)
                for request in (
                    {"cluster": "default", "containerInstance": arn, "zoneId": ""},
                    {"cluster": cluster, "containerInstance": arn, "zoneId": "use1-az1"},
                    {"cluster": "nowhere", "containerInstance": "arn:x"},
                    {},
                )
            ]

    answers = asyncio.run(story())
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["telemetryEndpoint"] == f"{answers[0]['endpoint']}telemetry/"


def test_an_attachment_is_told_until_it_is_acknowledged_and_shown_once_it_is_there(tmp_path: Path) -> None:
    details = {"volumeId": "vol-1", "deviceName": "/dev/xvdba"}

    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn) as agent:
                wait = timedelta(minutes=5)
                await there.decide(AttachmentWanted(arn, VOLUME, details, utc_now(), wait, "07"))
                first = await agent.next("ConfirmAttachmentMessage")
                again = await agent.next("ConfirmAttachmentMessage")
                assert again["messageId"] == first["messageId"]
                assert again["waitTimeoutMs"] < first["waitTimeoutMs"] <= 300_000
            async with acs(there.house, arn) as agent:
                told = await agent.next("ConfirmAttachmentMessage")
                await agent.say(
                    "AckRequest", cluster=told["clusterArn"], containerInstance=arn, messageId=told["messageId"]
                )
                attachment = told["attachment"]["attachmentArn"]
                done = [{"attachmentArn": attachment, "status": "ATTACHED"}]
                await there.call("SubmitAttachmentStateChanges", attachments=done)
                shown = await there.call("DescribeContainerInstances", containerInstances=[arn])
                [one] = shown["containerInstances"][0]["attachments"]
                assert (one["type"], one["status"]) == ("AmazonElasticBlockStorage", "ATTACHED")
                assert {detail["name"]: detail["value"] for detail in one["details"]} == details

    asyncio.run(story())


def test_a_message_that_is_refused_is_not_sent_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            arn = await there.host()
            async with acs(there.house, arn) as agent:
                await there.decide(UpdateWanted(arn, "https://example.test/agent.tar", "0" * 64, utc_now()))
                stage = await agent.next("StageUpdateMessage")
                await agent.say(
                    "NackRequest",
                    cluster=stage["clusterArn"],
                    containerInstance=arn,
                    messageId=stage["messageId"],
                    reason="Updates are disabled",
                )
                await there.until(lambda decision: "Updates are disabled" in str(decision.changes))
                shown = await there.call("DescribeContainerInstances", containerInstances=[arn])
                assert shown["containerInstances"][0]["agentUpdateStatus"] == "FAILED"

    asyncio.run(story())


def test_a_session_is_refused_to_the_agent_of_another_instance(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            theirs = await asyncio.to_thread(mint_agent_key, tmp_path)
            arn = await asyncio.to_thread(register, there.house.client(theirs), "default")
            for way, action in ((acs, "Poll"), (tcs, "StartTelemetrySession")):
                async with way(there.house, arn) as agent:
                    assert agent.head.startswith("HTTP/1.1 400 ")
                    body = json.loads(await agent.reader.readuntil(b"}}"))
                    assert body["type"] == "AccessDeniedException"
                    assert f"ecs:{action} on resource: {arn}" in body["message"]["message"]
            async with wire(there.house, "/ws", poll_query(arn), theirs) as agent:
                await agent.next("HeartbeatMessage")

    asyncio.run(story())
