"""The whole control plane over real sockets: boto3 on one side, an agent moved by hand on the other."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from aiohttp import WSCloseCode
from mypy_boto3_ecs import ECSClient
from mypy_boto3_ecs.type_defs import TaskTypeDef
from yarl import URL

from agent.controlplane.settings import Cadence
from agent.wire.acs import (
    AckRequest,
    HeartbeatMessage,
    IAMRoleCredentialsAckRequest,
    IAMRoleCredentialsMessage,
    PayloadMessage,
    TaskIdentifier,
    TaskManifestMessage,
    TaskStopVerificationAck,
    TaskStopVerificationMessage,
)
from agent.wire.acs_task import Task
from agent.wire.reading import read
from tests.controlplane.hand_agent import (
    HandAgent,
    call,
    connected,
    describe,
    poll_query,
    register,
    until,
    upgrade_headers,
)
from tests.controlplane.house import House, aws, running

ROLE = "arn:aws:iam::123456789012:role/app"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("plane")) as house:
        client = house.client()
        client.create_cluster(clusterName="demo")
        client.register_task_definition(
            family="web",
            containerDefinitions=[
                {
                    "name": "web",
                    "image": "busybox",
                    "memory": 64,
                    "cpu": 128,
                    "command": ["serve"],
                    "environment": [{"name": "MODE", "value": "prod"}],
                    "portMappings": [{"containerPort": 80}],
                }
            ],
        )
        yield house


@pytest.fixture
def host(house: House) -> Iterator[str]:
    """A host of its own for one test, gone afterwards."""
    arn = register(house.client(house.keys.agent))
    yield arn
    house.client().deregister_container_instance(cluster="demo", containerInstance=arn, force=True)


def run_one(client: ECSClient, **more: Any) -> str:  # noqa: ANN401  # whatever RunTask takes
    answer = client.run_task(**{"cluster": "demo", "taskDefinition": "web", **more})
    assert not answer["failures"]
    return answer["tasks"][0]["taskArn"]


def task(client: ECSClient, arn: str) -> TaskTypeDef:
    return client.describe_tasks(cluster="demo", tasks=[arn])["tasks"][0]


def test_a_task_goes_its_whole_way(house: House, host: str) -> None:
    client, agents = house.client(), house.client(house.keys.agent)

    async def story() -> TaskTypeDef:
        async with connected(house, host) as agent:
            arn = await call(run_one, client=client, startedBy="story")
            message, told = await agent.next_task()
            assert (told.arn, told.desired_status, told.family, told.version) == (arn, "RUNNING", "web", "1")
            assert told.containers is not None
            assert told.containers[0].environment == {"AWS_EXECUTION_ENV": "AWS_ECS_EC2", "MODE": "prod"}
            await agent.ack(message)
            for report in (
                {"status": "RUNNING", "pullStartedAt": 1.5, "pullStoppedAt": 2.5},
                {"status": "STOPPED", "executionStoppedAt": 9.25},
            ):
                container: dict[str, Any] = {"containerName": "web", "runtimeId": "c0ffee", "status": report["status"]}
                if report["status"] == "STOPPED":
                    container["exitCode"] = 7
                else:
                    container["networkBindings"] = [
                        {"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32768, "protocol": "tcp"}
                    ]
                await call(agents.submit_task_state_change, cluster="demo", task=arn, containers=[container], **report)
            return await call(task, client=client, arn=arn)

    done = asyncio.run(story())

    assert (done["lastStatus"], done["desiredStatus"]) == ("STOPPED", "STOPPED")
    assert (done["stopCode"], done["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert (done["startedBy"], done["group"], done["launchType"]) == ("story", "family:web", "EC2")
    [container] = done["containers"]
    assert (container["exitCode"], container["runtimeId"], container["lastStatus"]) == (7, "c0ffee", "STOPPED")
    assert container["networkBindings"][0]["hostPort"] == 32768
    assert done["pullStartedAt"].timestamp() == 1.5
    assert done["executionStoppedAt"].timestamp() == 9.25
    assert done["createdAt"] <= done["startedAt"] <= done["stoppingAt"] <= done["stoppedAt"]


def test_the_aws_clis_waiters_see_a_task_run_and_stop(house: House, host: str) -> None:
    client, agents = house.client(), house.client(house.keys.agent)

    async def story() -> None:
        async with connected(house, host):
            arn = await call(run_one, client=client)
            for status in ("RUNNING", "STOPPED"):
                await call(agents.submit_task_state_change, cluster="demo", task=arn, status=status)
                wait = ("wait", f"tasks-{status.lower()}", "--cluster", "demo", "--tasks", arn)
                done = await asyncio.to_thread(aws, house, *wait)
                assert done.returncode == 0, done.stderr

    asyncio.run(story())


def test_what_is_not_acknowledged_is_sent_again_also_over_a_new_connection(house: House, host: str) -> None:
    client = house.client()

    async def story() -> None:
        async with connected(house, host) as agent:
            arn = await call(run_one, client=client)
            first, _ = await agent.next_task()
            again, told = await agent.next_task()
            assert (again.message_id, again.seq_num, told.arn) == (first.message_id, first.seq_num, arn)
        async with connected(house, host) as agent:
            later, _ = await agent.next_task()
            assert later.message_id == first.message_id
            await agent.ack(later)
            second = await call(run_one, client=client)
            fresh, told = await agent.next_task()
            while told.arn == arn:  # one may have been on its way before the ack
                fresh, told = await agent.next_task()
            assert told.arn == second
            assert fresh.seq_num is not None
            assert first.seq_num is not None
            assert fresh.seq_num > first.seq_num
            again, told = await agent.next_task()
            assert told.arn == second, "an acknowledged message must not come again"

    asyncio.run(story())


def test_a_stop_overtakes_a_start_that_was_not_acknowledged(house: House, host: str) -> None:
    client = house.client()

    async def story() -> None:
        async with connected(house, host) as agent:
            arn = await call(run_one, client=client)
            start, _ = await agent.next_task()
            await call(client.stop_task, cluster="demo", task=arn, reason="enough")
            stop = await agent.next(PayloadMessage, lambda message: message.message_id != start.message_id)
            assert [read(raw, Task).desired_status for raw in stop.tasks or ()] == ["STOPPED"]
            assert stop.message_id is not None
            again = await agent.next(PayloadMessage, lambda message: message.message_id == stop.message_id)
            assert again.seq_num == stop.seq_num
            assert not [f for f in agent.waiting if isinstance(f, PayloadMessage) and f.message_id == start.message_id]

    asyncio.run(story())


def test_a_stop_is_told_and_shown(house: House, host: str) -> None:
    client, agents = house.client(), house.client(house.keys.agent)

    async def story() -> None:
        async with connected(house, host) as agent:
            arn = await call(run_one, client=client)
            message, _ = await agent.next_task()
            await agent.ack(message)
            await call(agents.submit_task_state_change, cluster="demo", task=arn, status="RUNNING")
            answer = await call(client.stop_task, cluster="demo", task=arn, reason="enough")
            assert answer["task"]["lastStatus"] == "RUNNING"
            assert answer["task"]["desiredStatus"] == "STOPPED"
            stop = await agent.next(PayloadMessage, lambda m: m.message_id != message.message_id)
            await agent.say(AckRequest("demo", host, stop.message_id))
            stopping = await until(lambda: task(client, arn), lambda t: t["lastStatus"] == "STOPPING")
            assert stopping["stopCode"] == "UserInitiated"
            await call(agents.submit_task_state_change, cluster="demo", task=arn, status="STOPPED")
            done = await call(task, client=client, arn=arn)
            assert (done["stopCode"], done["stoppedReason"]) == ("UserInitiated", "enough")

    asyncio.run(story())


def test_a_connection_that_ends_flips_agent_connected_only(house: House, host: str) -> None:
    client = house.client()

    async def story() -> None:
        assert (await call(describe, client=client, arn=host))["agentConnected"] is False
        async with connected(house, host) as agent:
            await agent.next(HeartbeatMessage)
            arn = await call(run_one, client=client)
            instance = await call(describe, client=client, arn=host)
            assert instance["agentConnected"] is True
            assert instance["versionInfo"]["dockerVersion"] == "DockerVersion: 25.0.14"
            assert (await call(task, client=client, arn=arn))["connectivity"] == "CONNECTED"
        lost = await until(lambda: describe(client, host), lambda instance: not instance["agentConnected"])
        assert lost["status"] == "ACTIVE"
        left = await call(task, client=client, arn=arn)
        assert (left["connectivity"], left["lastStatus"]) == ("DISCONNECTED", "PENDING")
        answer = await call(client.run_task, cluster="demo", taskDefinition="web")
        assert (host, "AGENT") in [(failure["arn"], failure["reason"]) for failure in answer["failures"]]

    asyncio.run(story())


def test_a_newer_connection_replaces_the_older_one(house: House, host: str) -> None:
    async def story() -> None:
        async with connected(house, host) as older:
            await older.next(HeartbeatMessage)
            async with connected(house, host) as newer:
                await newer.next(HeartbeatMessage)
                # Not a code after which agents come back at once: two of one instance would never stop.
                assert await older.ended() == (
                    WSCloseCode.POLICY_VIOLATION,
                    "a newer session of this instance has begun",
                )
                await newer.next(HeartbeatMessage)
                assert (await call(describe, client=house.client(), arn=host))["agentConnected"] is True

    asyncio.run(story())


def test_credentials_travel_with_the_task_and_come_again_when_asked_for(house: House, host: str) -> None:
    client = house.client()

    async def story() -> None:
        overrides = {"taskRoleArn": ROLE, "executionRoleArn": ROLE}
        async with connected(house, host, send_credentials=True) as agent:
            await call(run_one, client=client, overrides=overrides)
            message, told = await agent.next_task()
            assert told.role_credentials is not None
            assert told.execution_role_credentials is not None
            assert told.role_credentials.role_arn == ROLE
            assert told.role_credentials.credentials_id != told.execution_role_credentials.credentials_id
            await agent.ack(message)
            await agent.next(HeartbeatMessage)
            await agent.next(HeartbeatMessage)
            assert not [f for f in agent.waiting if isinstance(f, IAMRoleCredentialsMessage)], "fresh ones are enough"
        async with connected(house, host, send_credentials=True) as agent:
            came = [await agent.next(IAMRoleCredentialsMessage) for _ in range(2)]
            kinds = {c.role_type: c.role_credentials for c in came}
            values = kinds["TaskApplication"]
            assert values is not None
            assert values.credentials_id == told.role_credentials.credentials_id
            assert values.secret_access_key != told.role_credentials.secret_access_key
            assert set(kinds) == {"TaskApplication", "TaskExecution"}
        stored = b"".join(path.read_bytes() for path in house.data_dir.glob("controlplane.db*"))
        for secret in (told.role_credentials.secret_access_key, told.role_credentials.session_token):
            assert secret
            assert secret.encode() not in stored

    asyncio.run(story())


def test_credentials_that_were_asked_for_come_until_they_are_acknowledged(house: House, host: str) -> None:
    """The agent has lost them: that it acknowledged others in an earlier session helps nobody."""

    async def story() -> None:
        async with connected(house, host) as agent:
            await call(run_one, client=house.client(), overrides={"taskRoleArn": ROLE})
            message, _ = await agent.next_task()
            await agent.ack(message)
            await agent.next(HeartbeatMessage)
        async with connected(house, host, send_credentials=True) as agent:
            first, second = [await agent.next(IAMRoleCredentialsMessage) for _ in range(2)]
            assert first.message_id == second.message_id
            assert second.role_credentials is not None
            identity = second.role_credentials
            await agent.say(
                IAMRoleCredentialsAckRequest(second.message_id, identity.expiration, identity.credentials_id)
            )

    asyncio.run(story())


def test_a_deregistered_instance_hears_that_it_is_inactive(house: House) -> None:
    client = house.client()
    arn = register(house.client(house.keys.agent))

    async def story() -> None:
        async with connected(house, arn) as agent:
            await agent.next(HeartbeatMessage)
            gone = await call(client.deregister_container_instance, cluster="demo", containerInstance=arn)
            assert gone["containerInstance"]["status"] == "INACTIVE"
            code, reason = await agent.ended()
            assert code == WSCloseCode.POLICY_VIOLATION
            assert reason.startswith("InactiveInstanceException")
        status, body = await upgrade(house, arn)
        assert status == 400
        assert '{"InactiveInstanceException":"' in body

    asyncio.run(story())


def test_an_unknown_instance_is_refused_in_a_way_that_lets_its_agent_try_again(house: House) -> None:
    arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/0123456789abcdef0123456789abcdef"

    status, body = asyncio.run(upgrade(house, arn))

    assert status == 400
    assert "InvalidInstanceException" in body
    assert "InactiveInstance" not in body


def test_an_upgrade_from_a_browser_or_without_a_good_signature_is_refused(house: House, host: str) -> None:
    for change, code in (
        ({"Origin": "http://evil.example"}, "AccessDeniedException"),
        ({"Authorization": ""}, "MissingAuthenticationTokenException"),
        ({"X-Amz-Date": "20200101T000000Z"}, "IncompleteSignatureException"),
    ):
        status, body = asyncio.run(upgrade(house, host, change))
        assert status in (400, 403)
        assert code in body
    assert describe(house.client(), host)["agentConnected"] is False


def test_an_ordinary_request_is_no_upgrade_and_leaves_the_session_that_is_there(house: House, host: str) -> None:
    async def story() -> None:
        async with connected(house, host) as agent:
            await agent.next(HeartbeatMessage)
            status, body = await upgrade(house, host, {"Upgrade": "tea"})
            assert (status, "BadRequestException" in body) == (400, True)
            await agent.next(HeartbeatMessage)

    asyncio.run(story())


def test_frames_that_make_no_sense_are_dropped_and_the_connection_stays(house: House, host: str) -> None:
    async def story() -> None:
        async with connected(house, host) as agent:
            for text in (
                "",
                "{",
                "[]",
                '{"type":"Nonsense","message":{}}',
                '{"type":"AckRequest","message":{"messageId":3}}',
            ):
                await agent.socket.send_str(text)
            await agent.say(AckRequest("demo", host, "no-such-message"))
            await agent.next(HeartbeatMessage)
            await agent.next(HeartbeatMessage)

    asyncio.run(story())


def test_an_agent_that_falls_silent_is_let_go(tmp_path: Path) -> None:
    with running(tmp_path, Cadence(heartbeat=0.1, resend=0.1, silence=0.3)) as house:
        arn = register(house.client(house.keys.agent), cluster="default")

        async def story() -> None:
            async with connected(house, arn) as agent:
                assert await agent.ended() == (WSCloseCode.GOING_AWAY, "the agent is silent")
            await until(lambda: describe(house.client(), arn, "default"), lambda found: not found["agentConnected"])

        asyncio.run(story())


def test_a_task_that_cannot_be_told_harms_no_other(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        for family in ("bad", "good"):
            house.client().register_task_definition(
                family=family, containerDefinitions=[{"name": "web", "image": "busybox", "memory": 64}]
            )
    with closing(sqlite3.connect(tmp_path / "controlplane.db")) as disk, disk:  # as if an older version had let it in
        disk.execute(
            "UPDATE task_definitions SET body = CAST(json_set(CAST(body AS TEXT),"
            """ '$.body.containerDefinitions[0].systemControls', json('[{}]')) AS BLOB) WHERE key = 'bad:1'"""
        )
    with running(tmp_path) as house:
        client, agents = house.client(), house.client(house.keys.agent)
        arn = register(agents, cluster="default")

        async def story() -> None:
            async with connected(house, arn) as agent:
                bad = await asyncio.to_thread(run_one, client, cluster="default", taskDefinition="bad")
                good = await asyncio.to_thread(run_one, client, cluster="default", taskDefinition="good")
                wanted = {bad: "STOPPED", good: "RUNNING"}
                while wanted:
                    message, told = await agent.next_task()
                    assert wanted.pop(told.arn or "") == told.desired_status
                    await agent.ack(message)
            await call(agents.submit_task_state_change, cluster="default", task=bad, status="STOPPED")

        asyncio.run(story())

        [stopped] = client.list_tasks(desiredStatus="STOPPED")["taskArns"]
        [shown] = client.describe_tasks(tasks=[stopped])["tasks"]
        assert (shown["lastStatus"], shown["stopCode"]) == ("STOPPED", "TaskFailedToStart")
        assert "bug" in shown["stoppedReason"]


async def upgrade(house: House, arn: str, change: dict[str, str] | None = None) -> tuple[int, str]:
    """Ask for a WebSocket without speaking one, and read the answer."""
    url = f"{house.url}/ws?{urlencode(poll_query(arn), quote_via=quote)}"
    headers = {
        **upgrade_headers(url, house.keys.agent),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **(change or {}),
    }
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True), headers=headers) as answer:
        return answer.status, await answer.text()


def named(message: TaskManifestMessage) -> dict[str | None, str | None]:
    return {one.task_arn: one.desired_status for one in message.tasks or ()}


async def verified(agent: HandAgent, *candidates: str) -> list[str | None]:
    """What the control plane wants stopped of *candidates*."""
    asked = [TaskIdentifier(arn, "cluster", "STOPPED") for arn in candidates]
    await agent.say(TaskStopVerificationMessage("manifest-1", asked))
    answer = await agent.next(TaskStopVerificationAck)
    assert answer.message_id == "manifest-1"
    assert all(one.desired_status == "STOPPED" for one in answer.stop_tasks or ())
    return [one.task_arn for one in answer.stop_tasks or ()]


def test_each_session_begins_with_a_newer_list_of_the_tasks_that_the_agent_should_have(house: House, host: str) -> None:
    client = house.client()

    async def story() -> None:
        async with connected(house, host) as agent:
            empty = await agent.next(TaskManifestMessage)
            assert (named(empty), empty.container_instance_arn) == ({}, host)
            assert empty.cluster_arn == "arn:aws:ecs:us-east-1:123456789012:cluster/demo"
            runs, stops = await call(run_one, client=client), await call(run_one, client=client)
            payloads = [(await agent.next_task())[0] for _ in range(2)]
            await call(client.stop_task, cluster="demo", task=stops)
        async with connected(house, host) as agent:
            listed = await agent.next(TaskManifestMessage)
            assert named(listed) == {runs: "RUNNING", stops: "STOPPED"}
            numbers = [empty.timeline or 0, *(one.seq_num or 0 for one in payloads), listed.timeline or 0]
            assert numbers == sorted(set(numbers)), "lists and payloads are numbered by one growing sequence"

    asyncio.run(story())


def test_only_tasks_of_this_instance_that_are_over_are_confirmed_to_be_stopped(house: House, host: str) -> None:
    client, agents = house.client(), house.client(house.keys.agent)
    other = register(agents)

    async def story() -> None:
        async with connected(house, host) as agent:
            runs, stops, ended = [await call(run_one, client=client) for _ in range(3)]
            await call(client.stop_task, cluster="demo", task=stops)
            await call(agents.submit_task_state_change, cluster="demo", task=ended, status="STOPPED")
            unknown = runs[:-4] + "0000"
            assert await verified(agent, runs, stops, ended, unknown, "") == [stops, ended]
        async with connected(house, other) as agent:
            assert await verified(agent, stops, ended) == []

    asyncio.run(story())
    client.deregister_container_instance(cluster="demo", containerInstance=other, force=True)


def test_what_was_acknowledged_is_told_once_more_at_the_start_of_the_next_session(house: House, host: str) -> None:
    client = house.client()

    async def story() -> None:
        async with connected(house, host) as agent:
            runs, stops = await call(run_one, client=client), await call(run_one, client=client)
            for _ in range(2):
                await agent.ack((await agent.next_task())[0])
            await call(client.stop_task, cluster="demo", task=stops)
            message, told = await agent.next_task()
            assert (told.arn, told.desired_status) == (stops, "STOPPED")
            await agent.ack(message)
        async with connected(house, host) as agent:
            again = [(await agent.next_task())[1] for _ in range(2)]
            assert [(told.arn, told.desired_status) for told in again] == [(stops, "STOPPED"), (runs, "RUNNING")]

    asyncio.run(story())
