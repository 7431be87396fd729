import asyncio
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from botocore.credentials import Credentials, RefreshableCredentials
from structlog.testing import capture_logs

from agent.aws import credentials_client
from agent.aws.chain_client import Places, find_keys
from agent.aws.credentials_client import KEPT_FOR, READ_AGAIN_AFTER, CredentialsClient
from agent.model.credentials import SigningKeys
from agent.model.errors import TryAgain
from tests.aws.peers import run, serving


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def save(tmp_path: Path, key: str) -> None:
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")


def test_keys_in_the_environment_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")

    assert run(CredentialsClient().keys()) == SigningKeys("AKIDENV", "secret", "token")


def test_without_keys_anywhere_the_error_says_where_was_looked() -> None:
    with pytest.raises(TryAgain, match="neither in the environment, nor in the shared files") as caught:
        run(CredentialsClient().keys())
    assert caught.value.name == "NoCredentialProviders"


def test_keys_that_arrive_later_are_found_without_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        client = CredentialsClient()
        with pytest.raises(TryAgain):
            await client.keys()
        save(tmp_path, "AKIDLATE")
        assert (await client.keys()).access_key_id == "AKIDLATE"

    run(story())


def test_a_file_that_was_changed_is_read_again_after_a_while_and_at_once_when_keys_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        now = 0.0
        client = CredentialsClient(monotonic=lambda: now)
        save(tmp_path, "AKIDONE")
        await client.keys()
        save(tmp_path, "AKIDTWO")
        now = READ_AGAIN_AFTER - 1
        assert (await client.keys()).access_key_id == "AKIDONE"
        now = READ_AGAIN_AFTER + KEPT_FOR
        assert (await client.keys()).access_key_id == "AKIDTWO"
        save(tmp_path, "AKIDTHREE")
        client.forget()
        assert (await client.keys()).access_key_id == "AKIDTHREE"

    run(story())


def test_a_broken_file_is_an_expected_failure(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default\n")
    with pytest.raises(TryAgain, match="cannot read AWS credentials"):
        run(CredentialsClient().keys())


@pytest.mark.parametrize(("name", "value"), [("AWS_ACCESS_KEY_ID", "AKID\n"), ("AWS_SESSION_TOKEN", "to\nken")])
def test_keys_that_no_header_can_hold_are_an_expected_failure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv(name, value)
    with pytest.raises(TryAgain, match=r"\(env\) hold characters that no key has") as caught:
        run(CredentialsClient().keys())
    assert value not in str(caught.value)


def test_many_who_ask_at_once_search_once() -> None:
    searches: list[int] = []

    def counted() -> Credentials:
        searches.append(1)
        threading.Event().wait(0.05)  # as long as a slow disk; the others have come by then
        return Credentials("AKID", "secret")

    async def story() -> None:
        client = CredentialsClient(counted)
        await asyncio.gather(*(client.keys() for _ in range(20)))

    run(story())
    assert searches == [1]


def test_a_search_that_hangs_holds_up_neither_the_end_of_the_process_nor_a_second_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credentials_client, "PATIENCE", 0.02)
    answers, threads = threading.Event(), list[str]()

    def hanging() -> Credentials:
        threads.append(threading.current_thread().name)
        answers.wait(10)
        return Credentials("AKID", "secret")

    async def ask(client: CredentialsClient) -> SigningKeys:
        for _ in range(3):
            with pytest.raises(TryAgain, match="takes too long"):
                await client.keys()
        monkeypatch.setattr(credentials_client, "PATIENCE", 5.0)
        answers.set()
        return await client.keys()

    async def leave(client: CredentialsClient) -> None:
        with pytest.raises(TryAgain, match="takes too long"):
            await client.keys()

    asyncio.run(leave(CredentialsClient(hanging)))  # ends, though the search does not
    assert not answers.is_set()
    assert run(ask(CredentialsClient(hanging))) == SigningKeys("AKID", "secret")
    assert threads == ["aws-credentials"] * 2


def test_keys_of_a_container_role_are_renewed_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        served.append(f"ASIA{len(served)}")
        ends = datetime.now(UTC) + (timedelta(seconds=30) if len(served) == 1 else timedelta(hours=6))
        return web.json_response(
            {
                "AccessKeyId": served[-1],
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            }
        )

    async def story() -> None:
        app = web.Application()
        app.router.add_get("/role", answer)
        async with serving(app) as url:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/role")
            now = 0.0
            client = CredentialsClient(monotonic=lambda: now)
            first = await client.keys()
            now = KEPT_FOR
            later = await client.keys()
            now = READ_AGAIN_AFTER * 3
            assert await client.keys() == later
        assert later.access_key_id == "ASIA1"
        assert first.session_token == "t"

    run(story())
    assert served == ["ASIA0", "ASIA1"]


def test_keys_that_were_issued_a_moment_ago_are_used_though_a_wrong_clock_says_they_have_expired() -> None:
    expired = (datetime.now(UTC) - timedelta(minutes=50)).isoformat()  # the clock is an hour ahead of the issuer's

    def issue() -> dict[str, str]:
        return {"access_key": "AKIDFRESH", "secret_key": "s", "token": "t", "expiry_time": expired}

    def issued() -> Credentials:
        return RefreshableCredentials.create_from_metadata(issue(), issue, "iam-role")

    assert run(CredentialsClient(issued).keys()) == SigningKeys("AKIDFRESH", "s", "t")


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_the_password_of_a_proxy_is_told_to_nobody_when_sts_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    (tmp_path / "token").write_text("a.token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/agent")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"{scheme}://jo:hunter2@127.0.0.1:1")

    with capture_logs() as lines, pytest.raises(TryAgain, match=r"//\*\*\*.*@127\.0\.0\.1:1") as caught:
        run(CredentialsClient(partial(find_keys, Places(rotated=()))).keys())

    assert "hunter2" not in f"{caught.value} {lines}"
    assert [line["event"] for line in lines] == ["aws_credentials_unreadable"]
