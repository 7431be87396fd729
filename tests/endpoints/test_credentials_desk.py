"""Who is given which credentials, to the byte, and who is not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.endpoints.audit import Audit
from agent.endpoints.calls import Answer, Asked, Caller, Known
from agent.endpoints.credentials_desk import CredentialsDesk
from agent.endpoints.refusals import Refusals
from agent.model.credentials import RoleCredentials
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.parts import Efs, Volume, VolumeKind
from agent.model.status import Status
from agent.model.task import Task, TaskSpec
from agent.runner.vault import Vault

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
SHOP, BANK = TaskArn("arn:aws:ecs:eu-west-1:111122223333:task/blue/shop"), TaskArn("arn:task/blue/bank")
OWN = Caller(Known.ADDRESS, SHOP, "web")
HOST = Caller(Known.HOST)
UNKNOWN = b'{"code":"InvalidIdInRequest","message":"CredentialsV2Request: Credentials not found","HTTPErrorCode":400}'
NOT_YET = (
    b'{"code":"CredentialsUninitialized","message":"CredentialsV2Request: Credentials uninitialized for ID",'
    b'"HTTPErrorCode":503}'
)


def values(credentials_id: str, expiration: str = "2026-01-15T18:00:00Z") -> RoleCredentials:
    arn = f"arn:aws:iam::111122223333:role/{credentials_id}"
    return RoleCredentials(credentials_id, arn, "TaskApplication", expiration, "ASIA0", "secret/&<", "token+/=")


def task(arn: TaskArn, app: str = "", execution: str = "", known: Status = Status.RUNNING) -> Task:
    spec = TaskSpec(arn, "web", "1", (), task_credentials_id=app, execution_credentials_id=execution)
    return Task(spec, (), NOON, known=known)


@dataclass
class Lines:
    lines: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class Room:
    """A desk with two tasks, one of which has both roles."""

    isolated: bool = True
    now: datetime = NOON
    tasks: dict[TaskArn, Task] = field(
        default_factory=lambda: {SHOP: task(SHOP, "app/1", "exec"), BANK: task(BANK, "bank")}
    )
    log: Lines = field(default_factory=Lines)

    def __post_init__(self) -> None:
        self.vault = Vault(self.tasks.values, lambda: self.now)
        for one in ("app/1", "exec", "bank"):
            self.vault.put(values(one))
        owner = Identity("agent", "blue", "arn:instance")
        audit = Audit(self.log, lambda: owner, lambda: self.now)
        refusals = Refusals(lambda: self.now)
        self.desk = CredentialsDesk(self, self.vault, audit, refusals, lambda: self.now, isolated=self.isolated)

    def ask(self, path: str, caller: Caller = OWN, query: Mapping[str, str] | None = None) -> Answer | None:
        asked = Asked("GET", path, "172.17.0.4:50010", caller, query or {}, {"user-agent": "curl/8.5.0"})
        return asyncio.run(self.desk.answer(asked))

    def of(self, credentials_id: str, caller: Caller = OWN) -> tuple[int, bytes]:
        answer = self.ask(f"/v2/credentials/{credentials_id}", caller)
        assert answer is not None
        return answer.status, answer.body


def test_a_task_gets_the_credentials_of_its_role_byte_by_byte() -> None:
    room = Room()
    expected = (
        b'{"RoleArn":"arn:aws:iam::111122223333:role/app/1","AccessKeyId":"ASIA0",'
        b'"SecretAccessKey":"secret/\\u0026\\u003c","Token":"token+/=","Expiration":"2026-01-15T18:00:00Z"}'
    )

    assert room.of("app/1") == (200, expected)
    assert room.ask("/v1/credentials", query={"id": "app/1"}) == Answer(200, expected)
    assert room.log.lines[0] == (
        f'2026-01-15T12:00:00Z 200 172.17.0.4:50010 "/v2/credentials" "curl/8.5.0" {SHOP} GetCredentials 2 blue '
        "arn:instance"
    )
    assert '"/v1/credentials"' in room.log.lines[1]


@pytest.mark.parametrize(
    ("path", "query", "version"), [("/v2/credentials/", {}, "2"), ("/v1/credentials", {}, "1")], ids=["v2", "v1"]
)
def test_a_request_without_an_id_is_told_so(path: str, query: dict[str, str], version: str) -> None:
    room = Room()
    text = f"CredentialsV{version}Request: No Credential ID in the request"
    body = f'{{"code":"NoIdInRequest","message":"{text}","HTTPErrorCode":400}}'

    assert room.ask(path, query=query) == Answer(400, body.encode())
    assert room.log.lines == [f'2026-01-15T12:00:00Z 400 172.17.0.4:50010 "{path.rstrip("/")}" "curl/8.5.0" {SHOP} ']


@pytest.mark.parametrize("path", ["/v2/credentials", "/v1/credentials/x", "/v3/x", "/", "/v2/credentialsx"])
def test_other_paths_are_left_to_others(path: str) -> None:
    assert Room().ask(path) is None


@pytest.mark.parametrize(
    ("credentials_id", "caller", "isolated", "status"),
    [
        ("nobody's", OWN, True, 400),
        ("app/1", Caller(Known.SOCKET, SHOP, "web"), True, 200),
        ("app/1", HOST, True, 400),
        ("app/1", Caller(), True, 400),
        ("app/1", Caller(Known.ADDRESS, BANK, "web"), True, 400),
        ("app/1", Caller(Known.SOCKET, BANK, "web"), True, 400),
        ("app/1", Caller(Known.ADDRESS, BANK, "web"), False, 200),
        ("app/1", Caller(), False, 200),
        ("exec", HOST, True, 200),
        ("exec", OWN, True, 400),
        ("exec", Caller(Known.SOCKET, SHOP, "web"), True, 400),
        ("exec", Caller(), True, 400),
        ("exec", OWN, False, 200),
    ],
)
def test_they_are_given_to_those_whose_they_are(
    *, credentials_id: str, caller: Caller, isolated: bool, status: int
) -> None:
    got, body = Room(isolated).of(credentials_id, caller)

    assert got == status
    assert status == 200 or body == UNKNOWN, "nothing is to be learnt from it"


def test_what_mounts_a_file_system_with_the_tasks_role_may_ask_for_it_on_the_host() -> None:
    room = Room()
    volume = Volume("v", VolumeKind.EFS, efs=Efs("fs-1", iam=True))
    room.tasks[SHOP] = replace(room.tasks[SHOP], spec=replace(room.tasks[SHOP].spec, volumes=(volume,)))

    assert room.of("app/1", HOST)[0] == 200
    assert room.of("app/1", Caller())[0] == 400


def test_an_id_without_values_is_asked_for_again() -> None:
    room = Room()
    room.vault.forget(["app/1"])
    room.tasks[TaskArn("new")] = task(TaskArn("new"), "new")

    answer = room.ask("/v2/credentials/new", Caller(Known.ADDRESS, TaskArn("new"), "web"))

    assert answer == Answer(503, NOT_YET, headers={"Retry-After": "1"})
    assert room.log.lines[-1].endswith(" new "), "whose request it was, and nothing of a role"


def test_values_that_expire_on_their_way_are_not_given() -> None:
    room = Room()
    expires = datetime(2026, 1, 15, 18, tzinfo=UTC)
    room.now = expires - timedelta(seconds=6)
    before = room.of("app/1")[0]
    room.now += timedelta(seconds=1)

    assert (before, room.of("app/1")) == (200, (503, NOT_YET))
    room.vault.put(values("app/1", "2026-01-16T00:00:00Z"))
    assert room.of("app/1")[0] == 200


def test_values_that_are_none_are_not_given() -> None:
    room = Room()
    room.vault.put(replace(values("app/1"), access_key_id=""))
    assert room.of("app/1") == (503, NOT_YET)
    room.vault.put(replace(values("app/1"), secret_access_key=""))
    assert room.of("app/1") == (503, NOT_YET)


def test_a_time_that_nobody_can_read_is_given_as_it_is() -> None:
    room = Room()
    room.vault.put(values("app/1", "tomorrow"))

    assert b'"Expiration":"tomorrow"' in room.of("app/1")[1]


def test_the_role_ends_with_the_task_and_that_of_its_logs_with_its_row() -> None:
    room = Room()
    room.tasks[SHOP] = replace(room.tasks[SHOP], known=Status.STOPPED)
    room.vault.follow([room.tasks[SHOP]])
    stopped = room.of("app/1"), room.of("exec", HOST)[0]
    del room.tasks[SHOP]

    assert stopped == ((400, UNKNOWN), 200)
    assert room.of("exec", HOST) == (400, UNKNOWN)
    assert "GetCredentialsExecutionRole 2 blue" in room.log.lines[1]


def test_after_a_restart_the_id_of_a_stopped_tasks_logs_is_known() -> None:
    room = Room()
    room.tasks[TaskArn("t")] = task(TaskArn("t"), "gone", "logs", Status.STOPPED)

    assert room.of("logs", HOST) == (503, NOT_YET)
