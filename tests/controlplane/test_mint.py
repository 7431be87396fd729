"""Where the values of roles come from, and when they are made anew."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from structlog.testing import capture_logs

from agent.controlplane import mint_loop
from agent.controlplane.events import PlaneDecision
from agent.controlplane.mint_driver import AssumeSource, HostSource, LocalSource, chain_as_it_is, source_of
from agent.controlplane.mint_loop import Mint
from agent.controlplane.records import PlaneTask
from agent.controlplane.roles import CannotMint, Minted, Role, RoleKeys, RoleSource, roles_of
from agent.wire.acs import HeartbeatMessage, IAMRoleCredentialsMessage, PayloadMessage
from agent.wire.acs_spec import TASK_ROLE
from tests.controlplane.desk import Desk
from tests.controlplane.hand_agent import call, connected
from tests.controlplane.house import SETTLED
from tests.controlplane.inside import CAPABILITIES, Inside, inside

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TASK = "arn:aws:ecs:us-west-2:123456789012:task/demo/0a1b2c3d4e5f"
SHOP = Role(TASK, TASK_ROLE, "arn:aws:iam::123456789012:role/shop", "credentials-id")


def keys(name: str = "one", *, life: timedelta = timedelta(hours=1), now: datetime = NOON) -> RoleKeys:
    return RoleKeys(f"ASIA{name}", f"secret of {name}", f"token of {name}", now + life)


@pytest.mark.parametrize(
    ("life", "early"),
    [(6 * 60, 60), (12 * 60, 60), (60, 20), (15, 5)],
)
def test_values_are_made_anew_an_hour_before_they_end_and_short_ones_after_two_thirds(life: int, early: int) -> None:
    minted = Minted.of(SHOP, keys(life=timedelta(minutes=life)), NOON)

    assert minted.renew_at == NOON + timedelta(minutes=life - early)
    assert minted.credentials.expiration == f"{NOON + timedelta(minutes=life):%Y-%m-%dT%H:%M:%SZ}"
    assert "secret of" not in repr(minted)


def test_a_role_that_was_given_by_its_name_is_told_by_its_arn() -> None:
    desk = Desk()
    desk.define(taskRoleArn="shop", executionRoleArn="arn:aws:iam::123456789012:role/path/run")
    desk.host(attributes=[{"name": f"com.amazonaws.ecs.capability.{name}"} for name in CAPABILITIES])
    task = desk.plane.world.tasks[desk.run()]

    assert [role.role_arn for role in roles_of(task)] == [
        "arn:aws:iam::123456789012:role/shop",
        "arn:aws:iam::123456789012:role/path/run",
    ]


@dataclass
class Bank:
    """A source that blocks: it fails as long as it is closed."""

    is_open: bool = True
    life: timedelta = timedelta(hours=1)
    asked: list[Role] = field(default_factory=list)
    blocks: bool = True
    breaks: bool = False

    def keys(self, role: Role, now: datetime) -> RoleKeys:
        self.asked.append(role)
        if self.breaks:
            raise PermissionError("planted-secret")
        if not self.is_open:
            raise CannotMint("STS did not assume the role: AccessDenied")
        return keys(str(len(self.asked)), life=self.life, now=now)


@dataclass
class Times:
    now: datetime = NOON
    seconds: float = 1000.0


class Stand:
    """A mint that runs, and waits on it."""

    def __init__(self, bank: Bank) -> None:
        self.bank, self.times = bank, Times()
        self.tried = asyncio.Event()
        self.mint = Mint(bank, lambda: self.times.now, monotonic=lambda: self.times.seconds)

    def of(self, role: Role = SHOP) -> str:
        """The name of the values that are given now; empty for none."""
        found = self.mint.of(role, self.times.now, self.tried.set)
        return found.keys.access_key_id.removeprefix("ASIA") if found is not None else ""

    async def until_tried(self) -> None:
        await self.tried.wait()
        self.tried.clear()


def with_mint(bank: Bank, story: Callable[[Stand], Awaitable[None]]) -> None:
    async def main() -> None:
        stand = Stand(bank)
        job = asyncio.create_task(stand.mint.run())
        try:
            async with asyncio.timeout(SETTLED):
                await story(stand)
        finally:
            job.cancel()

    asyncio.run(main())


def test_values_that_take_time_come_by_and_by_and_serve_until_they_are_to_be_made_anew() -> None:
    async def story(stand: Stand) -> None:
        assert [stand.of(), stand.of()] == ["", ""]
        await stand.until_tried()
        assert [stand.of(), stand.of()] == ["1", "1"]
        stand.times.now += timedelta(minutes=40)
        assert stand.of() == "1", "the old ones serve on"
        await stand.until_tried()
        assert stand.of() == "2"
        assert stand.bank.asked == [SHOP, SHOP]

    with_mint(Bank(), story)


def test_what_cannot_be_made_is_tried_again_ever_later_and_said_without_ids() -> None:
    async def story(stand: Stand) -> None:
        waits = []
        for _ in range(9):
            assert stand.of() == ""
            await stand.until_tried()
            assert stand.of() == ""
            assert not stand.mint._waiting, "not at once"
            waits.append(stand.mint._failures[SHOP.credentials_id][1] - stand.times.seconds)
            stand.times.seconds += waits[-1]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        stand.bank.is_open = True
        stand.of()
        await stand.until_tried()
        assert stand.of() == "10"
        assert not stand.mint._failures

    with capture_logs() as logs:
        with_mint(Bank(is_open=False), story)
    assert {line["event"] for line in logs} == {"role_credentials_not_made"}
    assert (len(logs), logs[0]["role"], logs[0]["again_in"]) == (9, SHOP.role_arn, 1.0)
    assert SHOP.credentials_id not in str(logs)


def test_a_source_that_breaks_ends_nothing_and_what_it_said_is_not_told() -> None:
    async def story(stand: Stand) -> None:
        stand.of()
        await stand.until_tried()
        stand.bank.breaks = False
        stand.times.seconds += 1
        stand.of()
        await stand.until_tried()
        assert stand.of() == "2"

    with capture_logs() as logs:
        with_mint(Bank(breaks=True), story)
    [line] = logs
    assert line["error"].startswith("PermissionError")
    assert "planted-secret" not in str(line)


def test_values_that_end_at_once_are_a_failure_like_others() -> None:
    async def story(stand: Stand) -> None:
        for _ in range(2):
            assert stand.of() == ""
            await stand.until_tried()
            assert stand.of() == ""
            assert not stand.mint._waiting, "not at once"
            stand.times.seconds += 60

    with capture_logs() as logs:
        with_mint(Bank(life=timedelta(seconds=-1)), story)
    assert {line["event"] for line in logs} == {"role_credentials_not_made"}
    assert [line["again_in"] for line in logs] == [1, 2]
    assert logs[0]["error"] == "what came ends too soon, at 2026-01-15T11:59:59Z"


@dataclass
class Hangs(Bank):
    """One that never answers."""

    until: threading.Event = field(default_factory=threading.Event)

    def keys(self, role: Role, now: datetime) -> RoleKeys:
        self.asked.append(role)
        self.until.wait()
        return super().keys(role, now)


def test_a_source_that_hangs_takes_no_threads_of_others_and_not_ever_more_and_holds_up_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mint_loop, "PATIENCE", 0.001)
    bank = Hangs()

    async def story(stand: Stand) -> None:
        for _ in range(20):
            assert stand.of() == ""
            await stand.until_tried()
            stand.times.seconds += 60
        assert await asyncio.to_thread(lambda: "others work on") == "others work on"

    with capture_logs() as logs:
        with_mint(bank, story)
    bank.until.set()
    assert len(bank.asked) == mint_loop.MOST_THREADS
    told = [line["error"] for line in logs]
    assert (told[0], told[-1]) == ("it takes too long", "those who were asked before have not answered yet")


def test_values_that_cannot_be_renewed_serve_until_a_minute_before_they_end() -> None:
    async def story(stand: Stand) -> None:
        stand.of()
        await stand.until_tried()
        stand.bank.is_open = False
        stand.times.now += timedelta(minutes=58)
        assert stand.of() == "1"
        await stand.until_tried()
        stand.times.now += timedelta(minutes=1)
        assert stand.of() == ""

    with_mint(Bank(), story)


def test_one_role_is_asked_for_once_for_all_who_wait_and_what_has_ended_is_let_go() -> None:
    async def story(stand: Stand) -> None:
        others = [asyncio.Event(), asyncio.Event()]
        for other in others:
            assert stand.mint.of(SHOP, NOON, other.set) is None
        for other in others:
            await other.wait()
        assert stand.bank.asked == [SHOP]
        stand.times.now += timedelta(hours=2)
        stand.of(replace(SHOP, credentials_id="another"))
        await stand.until_tried()
        assert list(stand.mint._kept) == ["another"]

    with_mint(Bank(), story)


def test_values_of_our_own_are_at_hand_at_once_and_kept_nowhere() -> None:
    mint = Mint(LocalSource(b"secret"), lambda: NOON)

    one, two = (mint.of(SHOP, NOON, lambda: None) for _ in range(2))

    assert one is not None
    assert two is not None
    assert one.keys.session_token != two.keys.session_token
    assert (one.keys.expires_at, one.renew_at) == (NOON + timedelta(hours=6), NOON + timedelta(hours=5))
    assert not mint._kept


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A host without keys."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_the_keys_of_the_host_are_given_as_they_are(bare: pytest.MonkeyPatch) -> None:
    source = source_of(RoleSource.HOST, b"")
    with pytest.raises(CannotMint, match="no AWS credentials"):
        source.keys(SHOP, NOON)

    for value in ("first", "second"):
        bare.setenv("AWS_ACCESS_KEY_ID", f"AKIA{value}")
        bare.setenv("AWS_SECRET_ACCESS_KEY", value)
        assert source.keys(SHOP, NOON) == RoleKeys(f"AKIA{value}", value, "", NOON + timedelta(hours=6))

    bare.setenv("AWS_SESSION_TOKEN", "token")
    bare.setenv("AWS_CREDENTIAL_EXPIRATION", "2100-01-01T00:00:00+01:00")
    made = source.keys(SHOP, NOON)
    assert (made.session_token, made.expires_at) == ("token", datetime(2099, 12, 31, 23, tzinfo=UTC))


def test_keys_of_the_host_that_cannot_be_read_are_told_without_what_a_program_printed(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = sh -c 'echo planted-secret >&2; exit 1'\n")
    bare.setenv("AWS_CONFIG_FILE", str(config))

    with pytest.raises(CannotMint) as caught:
        HostSource().keys(SHOP, NOON)

    assert "planted-secret" not in str(caught.value)
    assert "CredentialRetrievalError" in str(caught.value)


def test_the_keys_that_dev_was_started_with_count_though_it_gives_its_agent_others(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAPERSON")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "of a person")
    find = chain_as_it_is()
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAAGENT")

    assert HostSource(find).keys(SHOP, NOON).access_key_id == "AKIAPERSON"


def test_where_dev_was_started_without_keys_tasks_do_not_get_those_of_its_agent(bare: pytest.MonkeyPatch) -> None:
    find = chain_as_it_is()
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAAGENT")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "of an agent")

    with pytest.raises(CannotMint, match="this host has no AWS credentials"):
        HostSource(find).keys(SHOP, NOON)
    with pytest.raises(CannotMint, match="NoCredentials"):
        AssumeSource(find).keys(SHOP, NOON)


def test_keys_of_dev_that_end_are_not_renewed_with_those_of_its_agent(bare: pytest.MonkeyPatch) -> None:
    person = {
        "AWS_ACCESS_KEY_ID": "AKIAPERSON",
        "AWS_SECRET_ACCESS_KEY": "of a person",
        "AWS_CREDENTIAL_EXPIRATION": f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
    }
    for name, value in person.items():
        bare.setenv(name, value)
    find = chain_as_it_is()
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAAGENT")

    assert HostSource(find).keys(SHOP, NOON).access_key_id == "AKIAPERSON"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AWS_PROFILE", "nobody", "ProfileNotFound"),
        ("AWS_ACCESS_KEY_ID", "AKIAPERSON", "PartialCredentialsError"),
    ],
)
def test_a_chain_that_cannot_be_looked_at_is_told_at_once(
    bare: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    bare.setenv(name, value)

    with pytest.raises(CannotMint, match=f"the AWS credentials of this host cannot be read: {says}"):
        chain_as_it_is()


def test_sts_is_asked_to_assume_the_role(bare: pytest.MonkeyPatch, moto: str) -> None:
    bare.setenv("AWS_ENDPOINT_URL_STS", moto)
    source = source_of(RoleSource.ASSUME, b"")
    with pytest.raises(CannotMint, match="STS did not assume the role: NoCredentials"):
        source.keys(SHOP, NOON)
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    made = source.keys(SHOP, NOON)

    life = made.expires_at - datetime.now(UTC)
    assert timedelta(minutes=59) < life <= timedelta(hours=1)
    client = boto3.client(
        "sts",
        endpoint_url=moto,
        region_name="us-west-2",
        aws_access_key_id=made.access_key_id,
        aws_secret_access_key=made.secret_access_key,
        aws_session_token=made.session_token,
    )
    assert client.get_caller_identity()["Arn"] == f"arn:aws:sts::123456789012:assumed-role/shop/{TASK[-12:]}"


class Refuses(BaseHTTPRequestHandler):
    """An STS that lets nobody assume anything."""

    def do_POST(self) -> None:  # the name is the library's
        body = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
            <Code>AccessDenied</Code><Message>is not authorized to perform: sts:AssumeRole</Message></Error>
            <RequestId>1</RequestId></ErrorResponse>"""
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_what_sts_says_is_told_and_where_it_cannot_be_reached(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        bare.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with pytest.raises(CannotMint, match=r"did not assume the role: .*\(AccessDenied\).*perform: sts:AssumeRole"):
            AssumeSource().keys(SHOP, NOON)
        server.shutdown()
        thread.join()

    with pytest.raises(CannotMint, match=r"EndpointConnectionError: .*http://127\.0\.0\.1:"):
        AssumeSource().keys(SHOP, NOON)


def is_acknowledged(decision: PlaneDecision) -> bool:
    return any(isinstance(change.after, PlaneTask) and change.after.run_acked for change in decision.changes)


async def two_kinds(there: Inside) -> str:
    """A host, a definition with a role and one without."""
    for family, more in (("plain", {}), ("web", {"taskRoleArn": SHOP.role_arn})):
        await call(
            there.house.client().register_task_definition,
            family=family,
            containerDefinitions=[{"name": "web", "image": "busybox", "memory": 10}],
            **more,
        )
    return await there.host()


def test_a_task_waits_for_the_values_of_its_role_and_its_agent_gets_them_as_soon_as_they_come(tmp_path: Path) -> None:
    bank = Bank(is_open=False, life=timedelta(hours=2))

    async def story() -> None:
        async with inside(tmp_path, source=bank) as there:
            host = await two_kinds(there)
            run = there.house.client().run_task
            async with connected(there.house, host) as agent:
                await call(run, taskDefinition="web")
                await call(run, taskDefinition="plain")
                _, plain = await agent.next_task()
                assert plain.family == "plain", "who needs no role does not wait"
                bank.is_open = True
                message, web = await agent.next_task()
                while web.family != "web":
                    message, web = await agent.next_task()
                assert web.role_credentials is not None
                assert web.role_credentials.role_arn == SHOP.role_arn
                await asyncio.gather(there.until(is_acknowledged), agent.ack(message))
                await agent.next(HeartbeatMessage)
                await agent.next(HeartbeatMessage)
                assert not [one for one in agent.waiting if isinstance(one, IAMRoleCredentialsMessage)]
            async with connected(there.house, host, send_credentials=True) as agent:
                sent = await agent.next(IAMRoleCredentialsMessage)
                assert sent.role_credentials == web.role_credentials, "what was made is good for all sessions"

    asyncio.run(story())


def test_a_task_that_was_told_before_is_told_again_when_its_values_come(tmp_path: Path) -> None:
    """The agent may have lost it with its disk, and this control plane the values with its memory."""
    bank = Bank()

    async def story() -> None:
        async with inside(tmp_path, source=bank) as there:
            host = await two_kinds(there)
            async with connected(there.house, host) as agent:
                await call(there.house.client().run_task, taskDefinition="web")
                message, _ = await agent.next_task()
                await asyncio.gather(there.until(is_acknowledged), agent.ack(message))
        bank.is_open = False
        async with inside(tmp_path, source=bank) as there, connected(there.house, host) as agent:
            await agent.next(HeartbeatMessage)
            await agent.next(HeartbeatMessage)
            assert not [one for one in agent.waiting if isinstance(one, PayloadMessage)]
            bank.is_open = True
            _, told = await agent.next_task()
            assert told.role_credentials is not None

    asyncio.run(story())


def test_values_are_sent_again_before_they_end(tmp_path: Path) -> None:
    bank, times = Bank(), Times(datetime.now(UTC).replace(microsecond=0))

    async def story() -> None:
        async with inside(tmp_path, source=bank, clock=lambda: times.now, auth=False) as there:
            host = await two_kinds(there)
            async with connected(there.house, host) as agent:
                await call(there.house.client().run_task, taskDefinition="web")
                message, told = await agent.next_task()
                assert told.role_credentials is not None
                await asyncio.gather(there.until(is_acknowledged), agent.ack(message))
                bank.is_open = False
                times.now += timedelta(minutes=41)
                await agent.next(HeartbeatMessage)
                await agent.next(HeartbeatMessage)
                assert not [one for one in agent.waiting if isinstance(one, IAMRoleCredentialsMessage)]
                bank.is_open = True
                sent = await agent.next(IAMRoleCredentialsMessage)
                assert sent.role_credentials is not None
                assert sent.role_credentials.access_key_id != told.role_credentials.access_key_id
                assert sent.role_credentials.credentials_id == told.role_credentials.credentials_id

    asyncio.run(story())
