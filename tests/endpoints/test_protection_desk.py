"""A task sees and changes its own protection, with the keys of its role: all that it can be answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from agent.aws.ecs_client import EcsClient, EcsSettings
from agent.aws.protection_client import ProtectionClient
from agent.controlplane.role_keys import seal, secret_of
from agent.controlplane.roles import Role
from agent.endpoints.calls import Asked, Caller, Known
from agent.endpoints.directory import Directory
from agent.endpoints.protection_desk import ProtectionDesk
from agent.endpoints.refusals import Refusals
from agent.model.clock import utc_now
from agent.model.credentials import RoleCredentials
from agent.model.names import Image, TaskArn
from agent.model.task import Container, ContainerSpec, Task, TaskSpec
from agent.wire.acs_spec import TASK_ROLE
from tests.aws.peers import FixedKeys
from tests.controlplane.hand_agent import call, connected, register
from tests.controlplane.house import SETTLED, House, running
from tests.endpoints.asking import Everybody, a_stand

PATH = "/api/{}/task-protection/v1/state"
ROLE = "arn:aws:iam::123456789012:role/shop"
HOME = "arn:aws:ecs:us-east-1:123456789012:task/demo"
PLAIN = TaskArn(f"{HOME}/{'0' * 32}")


def row(arn: TaskArn, key: str, credentials_id: str = "") -> Task:
    spec = TaskSpec(arn, "web", "1", (ContainerSpec("web", Image("busybox")),), task_credentials_id=credentials_id)
    return Task(spec, (Container("web", metadata_id=key),), datetime.now(UTC))


def values(credentials_id: str, *, expires: datetime, key: str = "ASIAKEY") -> RoleCredentials:
    text = f"{expires:%Y-%m-%dT%H:%M:%SZ}"
    return RoleCredentials(credentials_id, ROLE, TASK_ROLE, text, key, "secret", "token")


@dataclass
class Rows:
    """The rows of tasks and the values of their credentials."""

    tasks: dict[TaskArn, Task] = field(default_factory=dict)
    found: dict[str, RoleCredentials] = field(default_factory=dict)
    caller: Caller = field(default_factory=Caller)

    def get(self, credentials_id: str) -> RoleCredentials | None:
        return self.found.get(credentials_id)

    def add(self, arn: TaskArn, key: str, credentials: RoleCredentials | None = None) -> None:
        self.tasks[arn] = row(arn, key, credentials.credentials_id if credentials else "")
        if credentials is not None:
            self.found[credentials.credentials_id] = credentials
        self.caller = Caller(Known.ADDRESS, arn, "web")


@asynccontextmanager
async def a_desk(
    rows: Rows, url: str, *, deadline: float = 4.0, isolated: bool = True
) -> AsyncIterator[ProtectionDesk]:
    settings = EcsSettings("us-east-1", "ua", url, attempts=1)
    async with EcsClient.open(settings, FixedKeys(None)) as ecs:
        asks = ProtectionClient(ecs, deadline=deadline)
        directory = Directory(rows, isolated=isolated)
        yield ProtectionDesk(directory, rows, asks, Refusals(utc_now), utc_now, lambda: "demo")


async def ask(desk: ProtectionDesk, rows: Rows, key: str, body: str | None = None, method: str = "") -> tuple[int, Any]:
    """The status and the body, read; *body* makes it a PUT."""
    method = method or ("GET" if body is None else "PUT")
    asked = Asked(method, PATH.format(key), "10.0.0.2:5000", rows.caller, body=(body or "").encode())
    answer = await desk.answer(asked)
    assert answer is not None
    return answer.status, json.loads(answer.body) if answer.body else None


def story(tell: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SETTLED):
            await tell()

    asyncio.run(bounded())


def error(code: str, message: str, arn: str = "") -> dict[str, Any]:
    return {"error": ({"Arn": arn} if arn else {}) | {"Code": code, "Message": message}}


NOT_DECODED = (400, error("InvalidParameterException", "UpdateTaskProtection: failed to decode request"))
NO_TASK = (404, error("ResourceNotFoundException", "Failed to find a task for the request"))
NO_ROLE = (
    403,
    error("AccessDeniedException", "Invalid Request: no task IAM role credentials available for task", PLAIN),
)


@pytest.fixture
def rows() -> Rows:
    """A task without a role, which nobody has to be asked about."""
    rows = Rows()
    rows.add(PLAIN, "plain")
    return rows


NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        "[]",
        '"text"',
        "1",
        "true",
        '{"ProtectionEnabled":"true"}',
        '{"ProtectionEnabled":1}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":"60"}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":1.0}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":1e2}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":9223372036854775808}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":-9223372036854775809}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":true}',
        '{"ProtectionEnabled":true,"Task":"another"}',
        '{"ProtectionEnabled":true,"":null}',
        '{"ProtectionEnabled":tru}',
        "{" * 300,
    ],
)
def test_what_cannot_be_decoded_is_refused_before_a_task_is_looked_for(rows: Rows, body: str) -> None:
    async def tell() -> None:
        async with a_desk(rows, NOWHERE) as desk:
            for key in ("plain", "unknown"):
                assert await ask(desk, rows, key, body) == NOT_DECODED

    story(tell)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "null",
        '{"ProtectionEnabled":null}',
        '{"ExpiresInMinutes":60}',
        '{"ProtectionEnabled":true,"protectionenabled":null}',
    ],
)
def test_a_change_must_say_what_is_wanted(rows: Rows, body: str) -> None:
    async def tell() -> None:
        async with a_desk(rows, NOWHERE) as desk:
            text = "Invalid request: does not contain 'ProtectionEnabled' field"
            assert await ask(desk, rows, "plain", body) == (400, error("InvalidParameterException", text, PLAIN))
            assert await ask(desk, rows, "unknown", body) == NO_TASK

    story(tell)


@pytest.mark.parametrize(
    "body",
    [
        '{"ProtectionEnabled":true}',
        '{"protectionENABLED":false,"expiresinminutes":-9223372036854775808}',
        '{"ProtectionEnabled":true,"ExpiresInMinutes":null}',
        '\n{"Protect\\u0069onEnabled":true} and so on',
    ],
)
def test_what_can_be_decoded_needs_a_role(rows: Rows, body: str) -> None:
    async def tell() -> None:
        async with a_desk(rows, NOWHERE) as desk:
            assert await ask(desk, rows, "plain", body) == NO_ROLE
            assert await ask(desk, rows, "plain") == NO_ROLE

    story(tell)


def test_values_that_have_not_come_or_have_expired_are_none(rows: Rows) -> None:
    async def tell() -> None:
        async with a_desk(rows, NOWHERE) as desk:
            for credentials in (
                values("id", expires=datetime.now(UTC) - timedelta(seconds=1)),
                values("id", expires=datetime.now(UTC) + timedelta(hours=1), key=""),
            ):
                rows.add(PLAIN, "plain", credentials)
                assert await ask(desk, rows, "plain") == NO_ROLE
            rows.found.clear()
            assert await ask(desk, rows, "plain") == NO_ROLE

    story(tell)


@pytest.mark.parametrize(
    "caller",
    [Caller(Known.ADDRESS, TaskArn(f"{HOME}/another"), "web"), Caller(Known.HOST), Caller(Known.NOBODY)],
)
def test_another_task_is_as_unknown_as_one_that_does_not_exist(rows: Rows, caller: Caller) -> None:
    async def tell() -> None:
        rows.caller = caller
        async with a_desk(rows, NOWHERE) as desk:
            assert await ask(desk, rows, "plain") == await ask(desk, rows, "unknown") == NO_TASK
            assert await ask(desk, rows, "plain", '{"ProtectionEnabled":true}') == NO_TASK
        async with a_desk(rows, NOWHERE, isolated=False) as desk:
            assert await ask(desk, rows, "plain") == NO_ROLE

    story(tell)


def test_other_methods_and_other_paths_are_not_its_own(rows: Rows) -> None:
    async def tell() -> None:
        async with a_desk(rows, NOWHERE) as desk, a_stand(desk, visitors=Everybody(rows.caller)) as stand:
            for method in ("POST", "DELETE", "HEAD", "PATCH"):
                reply = await stand.ask(PATH.format("plain"), method)
                assert (reply.status, reply.body) == (405, b"")
            reply = await stand.ask(PATH.format("plain"))
            assert (reply.status, reply.headers["content-type"]) == (403, "application/json")
            for path in (
                "/api/task-protection/v1/state",
                "/api/a/b/task-protection/v1/state",
                "/api/plain/task-protection/v1/state/",
                "/api/plain/task-protection/v1",
                "/api/plain/task-protection/v2/state",
            ):
                assert (await stand.ask(path)).status == 404

    story(tell)


# An ECS that says what it should not.


@dataclass
class Odd:
    """Answers every call with the same, and remembers it."""

    status: int = 200
    body: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    heard: list[tuple[str, Any, str]] = field(default_factory=list)
    is_silent: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        action = request.headers["X-Amz-Target"].rpartition(".")[2]
        self.heard.append((action, await request.json(), request.headers["X-Amz-Security-Token"]))
        assert "/us-east-1/ecs/" in request.headers["Authorization"]
        assert "Credential=ASIAKEY/" in request.headers["Authorization"]
        if self.is_silent:
            await self.over.wait()
        return web.Response(status=self.status, text=self.body, headers=self.headers)


@asynccontextmanager
async def odd_ecs(odd: Odd) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/", odd.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        odd.over.set()
        await runner.cleanup()


def answered(odd: Odd, body: str | None = None, *, deadline: float = 4.0) -> tuple[int, Any]:
    """What a task with a role is answered where ECS is *odd*."""
    told: list[tuple[int, Any]] = []

    async def tell() -> None:
        rows = Rows()
        rows.add(PLAIN, "plain", values("id", expires=datetime.now(UTC) + timedelta(hours=1)))
        async with odd_ecs(odd) as url, a_desk(rows, url, deadline=deadline) as desk:
            told.append(await ask(desk, rows, "plain", body))

    story(tell)
    return told[0]


UNEXPECTED = (500, error("ServerException", "Unexpected error occurred", PLAIN))
PROTECTED = {"taskArn": PLAIN, "protectionEnabled": True, "expirationDate": 1714572000.0}
FAILURE = {"arn": PLAIN, "reason": "DEPLOYMENT_BLOCKED"}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, UNEXPECTED),
        ({"protectedTasks": [], "failures": []}, UNEXPECTED),
        ({"protectedTasks": None, "failures": None}, UNEXPECTED),
        ({"protectedTasks": [PROTECTED, PROTECTED]}, UNEXPECTED),
        ({"failures": [FAILURE, FAILURE]}, UNEXPECTED),
        (
            {"failures": [FAILURE], "protectedTasks": [PROTECTED]},
            (200, {"failure": {"Arn": PLAIN, "Detail": None, "Reason": "DEPLOYMENT_BLOCKED"}}),
        ),
        ({"failures": [{"detail": "why"}]}, (200, {"failure": {"Arn": None, "Detail": "why", "Reason": None}})),
    ],
)
def test_what_ecs_says_of_one_task_is_told_and_of_more_than_one_is_an_error(
    members: dict[str, Any], told: tuple[int, Any]
) -> None:
    assert answered(Odd(body=json.dumps(members))) == told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1714572000, "2024-05-01T14:00:00Z"),
        (1714572000.5, "2024-05-01T14:00:00.5Z"),
        (1714572000.1234, "2024-05-01T14:00:00.123Z"),
        (1.714572e9, "2024-05-01T14:00:00Z"),
    ],
)
def test_times_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    body = json.dumps({"protectedTasks": [PROTECTED | {"expirationDate": seconds}]})

    status, told = answered(Odd(body=body))

    assert (status, told["protection"]["ExpirationDate"]) == (200, text)
    assert list(told["protection"]) == ["ExpirationDate", "ProtectionEnabled", "TaskArn"]


@pytest.mark.parametrize(
    ("odd", "status", "told"),
    [
        (
            Odd(400, '{"__type":"ns#AccessDeniedException","message":"No <b>."}', {"x-amzn-RequestId": "r-1"}),
            400,
            {"requestID": "r-1"} | error("AccessDeniedException", "No <b>.", PLAIN),
        ),
        (
            Odd(400, '{"__type":"ThrottlingException","Message":"slow"}'),
            400,
            error("ThrottlingException", "slow", PLAIN),
        ),
        (
            Odd(500, '{"__type":"ServerException","message":"later"}', {"x-amzn-RequestId": "r-2"}),
            500,
            {"requestID": "r-2"} | error("ServerException", "later", PLAIN),
        ),
        (Odd(502, "<html>"), 500, error("ServerException", "HTTP status 502", PLAIN)),
    ],
)
def test_an_error_of_ecs_is_told_with_its_own_status(odd: Odd, status: int, told: dict[str, Any]) -> None:
    found = answered(odd)

    assert found == (status, told)
    assert list(found[1]) == [*(["requestID"] if odd.headers else []), "error"]


@pytest.mark.parametrize(
    "odd",
    [
        Odd(body="no JSON"),
        Odd(body='{"protectedTasks":[{"expirationDate":1e300}]}'),
        Odd(body='{"protectedTasks":[{"expirationDate":"soon"}]}'),
    ],
)
def test_an_answer_that_cannot_be_read_is_our_error(odd: Odd) -> None:
    status, told = answered(odd)

    assert (status, told["error"]["Code"], told["error"]["Arn"]) == (500, "ServerException", PLAIN)
    assert told["error"]["Message"]


def test_an_ecs_that_cannot_be_reached_is_our_error() -> None:
    async def tell() -> None:
        rows = Rows()
        rows.add(PLAIN, "plain", values("id", expires=datetime.now(UTC) + timedelta(hours=1)))
        async with a_desk(rows, NOWHERE) as desk:
            status, told = await ask(desk, rows, "plain")
        assert (status, told["error"]["Code"]) == (500, "ServerException")
        assert "cannot reach ECS" in told["error"]["Message"]

    story(tell)


def test_an_ecs_that_is_silent_is_waited_for_so_long() -> None:
    text = "Timed out calling ECS Task Protection API"
    odd = Odd(is_silent=True)

    assert answered(odd, deadline=0.1) == (504, error("RequestCanceled", text, PLAIN))


def test_a_call_says_what_is_wanted_and_is_signed_with_what_is_there_at_the_time() -> None:
    odd = Odd(body=json.dumps({"protectedTasks": [PROTECTED]}))

    answered(odd)
    answered(odd, '{"ProtectionEnabled":true,"ExpiresInMinutes":4294967297}')
    answered(odd, '{"ProtectionEnabled":false}')

    asked = {"cluster": "demo", "tasks": [PLAIN]}
    assert odd.heard == [
        ("GetTaskProtection", asked, "token"),
        ("UpdateTaskProtection", asked | {"protectionEnabled": True, "expiresInMinutes": 4294967297}, "token"),
        ("UpdateTaskProtection", asked | {"protectionEnabled": False}, "token"),
    ]


# The real control plane.


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("plane")) as house:
        yield house


async def two_tasks(house: House) -> tuple[TaskArn, TaskArn]:
    """A task of a service, and one of none."""
    client = house.client()
    host = await asyncio.to_thread(register, house.client(house.keys.agent), "demo")
    containers = [{"name": "web", "image": "busybox", "memory": 10}]
    await call(client.register_task_definition, family="web", containerDefinitions=containers)
    async with connected(house, host):
        arns = []
        for group in ("service:web", "alone"):
            answer = await asyncio.to_thread(client.run_task, cluster="demo", taskDefinition="web", group=group)
            arns.append(TaskArn(answer["tasks"][0]["taskArn"]))
    return arns[0], arns[1]


def role_of(house: House, arn: str, credentials_id: str) -> RoleCredentials:
    expires = datetime.now(UTC) + timedelta(hours=1)
    keys = seal(secret_of(house.keys), Role(arn, TASK_ROLE, ROLE, credentials_id), expires, "draw")
    return RoleCredentials(
        credentials_id,
        ROLE,
        TASK_ROLE,
        f"{keys.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        keys.access_key_id,
        keys.secret_access_key,
        keys.session_token,
    )


def test_a_task_of_a_service_protects_itself_at_the_real_control_plane(house: House) -> None:
    async def tell() -> None:
        client = house.client()
        await asyncio.to_thread(client.create_cluster, clusterName="demo")
        ours, alone = await two_tasks(house)
        rows = Rows()
        rows.add(alone, "alone", role_of(house, alone, "its"))
        its_caller = rows.caller
        rows.add(ours, "ours", role_of(house, ours, "ours"))
        async with a_desk(rows, house.url) as desk:
            off = {"protection": {"ExpirationDate": None, "ProtectionEnabled": False, "TaskArn": ours}}
            assert await ask(desk, rows, "ours") == (200, off)
            before = datetime.now(UTC)
            status, told = await ask(desk, rows, "ours", '{"ProtectionEnabled":true,"ExpiresInMinutes":30}')
            assert (status, told["protection"]["ProtectionEnabled"]) == (200, True)
            until = datetime.fromisoformat(told["protection"]["ExpirationDate"])
            assert timedelta(minutes=29) < until - before < timedelta(minutes=31)
            assert await ask(desk, rows, "ours") == (200, told)
            assert await ask(desk, rows, "ours", '{"ProtectionEnabled":false}') == (200, off)

            status, told = await ask(desk, rows, "ours", '{"ProtectionEnabled":true,"ExpiresInMinutes":0}')
            assert (status, told["error"]["Code"]) == (400, "InvalidParameterException")
            assert told["error"]["Message"] == "expiresInMinutes must be between 1 and 2880"
            assert len(told["requestID"]) == 36

            rows.found["ours"] = replace(role_of(house, alone, "ours"))
            status, told = await ask(desk, rows, "ours")
            assert (status, told["error"]["Code"], told["error"]["Arn"]) == (400, "AccessDeniedException", ours)
            assert "not authorized to perform: ecs:GetTaskProtection" in told["error"]["Message"]

            rows.caller = its_caller
            failure = {"failure": {"Arn": alone, "Detail": None, "Reason": "TASK_NOT_VALID"}}
            assert await ask(desk, rows, "alone") == (200, failure)
            assert await ask(desk, rows, "alone", '{"ProtectionEnabled":true}') == (200, failure)

    story(tell)
