"""Every message of the protocol from the server's side: the control plane sends what was composed by hand, and takes
the answers that were composed by hand.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.controlplane.events import Acknowledged, AttachmentWanted, PlaneDecision, UpdateWanted
from agent.controlplane.notices import INSTANCE_INTERFACE, TASK_INTERFACE, VOLUME
from agent.controlplane.records import Attachment, ContainerInstance, PlaneTask
from agent.controlplane.settings import Cadence
from agent.model.clock import utc_now
from tests.controlplane.desk import WEB
from tests.controlplane.hand_agent import poll_query
from tests.controlplane.inside import Inside, Wire, acs, inside, wire
from tests.wire import matrix
from tests.wire.matrix import ROWS, SENTENCES, Frame, Row

ROLES = {name: f"arn:aws:iam::123456789012:role/{name}" for name in ("taskRoleArn", "executionRoleArn")}
Cause = Callable[[Inside, str], Awaitable[object]]
Effect = Callable[[PlaneDecision], bool]


async def nothing(_there: Inside, _home: str) -> None:
    """The control plane sends it of its own accord."""


async def a_task(there: Inside, _home: str, **more: object) -> str:
    await there.call("RegisterTaskDefinition", family="web", containerDefinitions=[WEB])
    answer = await there.call("RunTask", taskDefinition="web", **more)
    assert not answer["failures"], answer["failures"]
    arn: str = answer["tasks"][0]["taskArn"]
    return arn


async def a_task_with_roles(there: Inside, home: str) -> None:
    await a_task(there, home, overrides=ROLES)


async def a_stop(there: Inside, home: str) -> None:
    await there.call("StopTask", task=await a_task(there, home))


async def an_acknowledged_task(there: Inside, home: str) -> None:
    task = await a_task(there, home, overrides={"taskRoleArn": ROLES["taskRoleArn"]})
    await there.decide(Acknowledged(home, f"{task.rpartition('/')[2]}-run"))


def attaching(kind: str, composed: Frame) -> Cause:
    async def cause(there: Inside, home: str) -> None:
        task = await a_task(there, home) if kind != INSTANCE_INTERFACE else ""
        if kind == VOLUME:
            details = {one["name"]: one["value"] for one in composed["message"]["attachment"]["attachmentProperties"]}
        else:
            [given] = composed["message"]["elasticNetworkInterfaces"]
            details = {name: value for name, value in given.items() if name != "attachmentArn"}
        wait = timedelta(milliseconds=composed["message"]["waitTimeoutMs"])
        await there.decide(AttachmentWanted(home, kind, details, utc_now(), wait, "07" * 32, task))

    return cause


async def an_update(there: Inside, home: str) -> None:
    await there.decide(UpdateWanted(home, matrix.UPDATE["location"], matrix.UPDATE["signature"], utc_now()))


async def a_staged_update(there: Inside, home: str) -> None:
    await an_update(there, home)
    shown = await there.call("DescribeContainerInstances", containerInstances=[home])
    assert shown["containerInstances"][0]["agentUpdateStatus"] == "PENDING"
    update = there.instance(home).update
    assert update is not None
    await there.decide(Acknowledged(home, f"{update.seq}-stage"))


def after(decision: PlaneDecision, kind: type, holds: Callable[[Any], bool]) -> bool:
    return any(isinstance(change.after, kind) and holds(change.after) for change in decision.changes)


def run_acked(decision: PlaneDecision) -> bool:
    return after(decision, PlaneTask, lambda task: task.run_acked)


def stop_acked(decision: PlaneDecision) -> bool:
    return after(decision, PlaneTask, lambda task: task.stop_acked)


def told(decision: PlaneDecision) -> bool:
    return after(decision, Attachment, lambda one: one.acked)


def update_refused(decision: PlaneDecision) -> bool:
    return after(decision, ContainerInstance, lambda home: home.update and home.update.reason == matrix.DISABLED)


@dataclass(frozen=True)
class Side:
    """What makes the control plane send a row's message, and what the agent's answers change; None if nothing.

    An `early` cause lies in an earlier session.
    """

    cause: Cause = nothing
    effect: Effect | None = None
    early: bool = False


SIDES = {
    "heartbeat": Side(),
    "payload": Side(a_task, run_acked),
    "payload with roles": Side(a_task_with_roles, run_acked),
    "payload with a stop": Side(a_stop, stop_acked),
    "fresh credentials": Side(an_acknowledged_task, early=True),
    "interface of a task": Side(attaching(TASK_INTERFACE, matrix.ATTACH_TASK), told),
    "interface of the instance": Side(attaching(INSTANCE_INTERFACE, matrix.ATTACH_INSTANCE), told),
    "volume": Side(attaching(VOLUME, matrix.CONFIRM), told),
    "list that has all tasks": Side(an_acknowledged_task, early=True),
    "list that lacks a task": Side(),
    "update to fetch": Side(an_update, update_refused),
    "update to make": Side(a_staged_update, update_refused),
    "CloseMessage, with a type": Side(),
}
ELSEWHERE = {"stops that were verified", "list that is not newer"}
"""The first is an answer, tried below; the second is what a server must never send."""
NEVER_SENT = {f"{kind}, {how}" for kind in SENTENCES for how in ("with a type", "by its name alone")} - set(SIDES)


def test_no_row_is_forgotten() -> None:
    assert {row.name for row in ROWS} == set(SIDES) | ELSEWHERE | NEVER_SENT


def lacking(composed: object, sent: object, path: str = "") -> list[str]:
    """What *composed* has and *sent* has not, or has in another form."""
    if isinstance(composed, dict):
        if not isinstance(sent, dict):
            return [path]
        return [gap for key, value in composed.items() for gap in lacking(value, sent.get(key), f"{path}.{key}")]
    if isinstance(composed, list):
        if not isinstance(sent, list):
            return [path]
        pairs = zip(composed, sent, strict=False)
        return ([path] if composed and not sent else []) + [gap for a, b in pairs for gap in lacking(a, b, f"{path}[]")]
    return [] if type(composed) is type(sent) else [path]


def readdressed(answer: Frame, sent: dict[str, Any]) -> Frame:
    """*answer* for the message that really came."""
    message = {**answer["message"], "messageId": sent["messageId"]}
    if "cluster" in message:
        message |= {"cluster": sent["clusterArn"], "containerInstance": sent["containerInstanceArn"]}
    if "credentialsId" in message:
        [task] = sent.get("tasks", [{"roleCredentials": sent.get("roleCredentials")}])
        is_execution = message["credentialsId"] == matrix.EXECUTION_ROLE["credentialsId"]
        role = task["executionRoleCredentials" if is_execution else "roleCredentials"]
        message |= {"credentialsId": role["credentialsId"], "expiration": role["expiration"]}
    return {"type": answer["type"], "message": message}


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in SIDES], ids=lambda row: row.name)
def test_what_is_sent_is_what_the_protocol_says_and_the_answer_is_taken(row: Row, tmp_path: Path) -> None:
    side = SIDES[row.name]
    life = 0.2 if row.name.startswith("CloseMessage") else 60.0

    async def story() -> None:
        async with inside(tmp_path, Cadence(heartbeat=0.3, resend=0.2, silence=5.0, life=life)) as there:
            home = await there.host()
            if side.early:
                await in_a_session(side.cause, there, home)
            query = poll_query(home, send_credentials=row.name == "fresh credentials")
            async with wire(there.house, "/ws", query, there.house.keys.agent) as agent:
                if not side.early:
                    await side.cause(there, home)
                sent = await wanted(agent, row)
                assert lacking(row.told["message"], sent) == []
                effect = asyncio.ensure_future(there.until(side.effect or (lambda _: True)))
                for answer in row.answers if side.effect else ():
                    await agent.send(json.dumps(readdressed(answer, sent)).encode())
                if side.effect:
                    await effect
                effect.cancel()
                if row.name == "fresh credentials":
                    await agent.send(json.dumps(readdressed(row.answers[0], sent)).encode())
                if not row.name.startswith("CloseMessage"):
                    await agent.next("HeartbeatMessage")

    asyncio.run(story())


async def in_a_session(cause: Cause, there: Inside, home: str) -> None:
    """Have *cause* happen while an agent is there: without one no task finds a place."""
    async with acs(there.house, home) as agent:
        await agent.next("HeartbeatMessage")
        await cause(there, home)


async def wanted(agent: Wire, row: Row) -> dict[str, Any]:
    """The next message of the row's type, and for a payload of the row's wish."""
    while True:
        sent = await agent.next(row.told["type"], answers=row.told["type"] != "HeartbeatMessage")
        wishes = [[task["desiredStatus"] for task in of.get("tasks", ())] for of in (row.told["message"], sent)]
        if row.told["type"] != "PayloadMessage" or wishes[0] == wishes[1]:
            return sent


def test_an_agent_that_asks_hears_which_of_its_tasks_are_over(tmp_path: Path) -> None:
    [asks] = [row.answers[1] for row in ROWS if row.name == "list that lacks a task"]
    [verified] = [row.told for row in ROWS if row.name == "stops that were verified"]

    async def story() -> None:
        async with inside(tmp_path) as there:
            home = await there.host()
            await in_a_session(a_stop, there, home)
            async with acs(there.house, home) as agent:
                listed = await agent.next("TaskManifestMessage")
                [candidate] = asks["message"]["stopCandidates"]
                [task] = [one["taskArn"] for one in listed["tasks"]]
                question = {"messageId": listed["messageId"], "stopCandidates": [{**candidate, "taskArn": task}]}
                await agent.send(json.dumps({"type": asks["type"], "message": question}).encode())
                answer = await agent.next(verified["type"])
                assert lacking(verified["message"], answer) == []
                assert answer["messageId"] == listed["messageId"]
                assert [one["taskArn"] for one in answer["stopTasks"]] == [task]

    asyncio.run(story())


def test_fresh_credentials_are_sent_until_their_own_acknowledgement_comes(tmp_path: Path) -> None:
    [row] = [row for row in ROWS if row.name == "fresh credentials"]

    async def story() -> None:
        async with inside(tmp_path) as there:
            home = await there.host()
            await in_a_session(an_acknowledged_task, there, home)
            query = poll_query(home, send_credentials=True)
            async with wire(there.house, "/ws", query, there.house.keys.agent) as agent:
                first, again = [await agent.next(row.told["type"]) for _ in range(2)]
                assert first["messageId"] == again["messageId"]
                await agent.send(json.dumps(readdressed(row.answers[0], again)).encode())
                kinds: list[str] = []
                while kinds.count("HeartbeatMessage") < 3:
                    kinds.append(json.loads((await agent.receive())[1])["type"])
                assert kinds.count(row.told["type"]) <= 1, "one may have been on its way"

    asyncio.run(story())
