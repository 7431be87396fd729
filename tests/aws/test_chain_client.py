"""Where keys are found, and in which order: against another's STS and instance metadata, real files and programs."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path

import pytest
from aiohttp import web
from botocore.credentials import SSOProvider

from agent.aws.chain_client import ROTATED, Places, find_keys
from agent.aws.credentials_client import KEPT_FOR, ROTATED_AFTER, CredentialsClient
from agent.model.credentials import SigningKeys
from agent.model.errors import TryAgain
from tests.aws.peers import run, serving

ROLE = "arn:aws:iam::123456789012:role/agent"
SOON = timedelta(hours=1)


@dataclass
class Host:
    """A machine on which keys can be laid out, each place with keys that name it."""

    folder: Path
    moto: str
    environ: pytest.MonkeyPatch
    places: Places

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        with path.open("a") as file:
            file.write(text)
        return path

    def static(self, key: str, profile: str = "default") -> str:
        return f"[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = s\n"

    def lay(self, place: str) -> None:
        """Put keys at *place*."""
        getattr(self, f"_{place}")()

    def _environment(self) -> None:
        self.environ.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
        self.environ.setenv("AWS_SECRET_ACCESS_KEY", "s")

    def _web_identity(self) -> None:
        self.environ.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(self.file("token", "a.token")))
        self.environ.setenv("AWS_ROLE_ARN", ROLE)
        self.environ.setenv("AWS_ENDPOINT_URL_STS", self.moto)

    def _shared(self) -> None:
        self.file("credentials", self.static("AKIDSHARED"))

    def _profile(self) -> None:
        self.environ.setenv("AWS_PROFILE", "mine")
        self.file("credentials", self.static("AKIDPROFILE", "mine"))

    def _assumed(self) -> None:
        self.environ.setenv("AWS_PROFILE", "assuming")
        self.environ.setenv("AWS_ENDPOINT_URL_STS", self.moto)
        self.file("config", f"[profile assuming]\nrole_arn = {ROLE}\nsource_profile = source\n")
        self.file("credentials", self.static("AKIDSOURCE", "source"))

    def _process(self) -> None:
        said = json.dumps({"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "s"})
        script = self.file("keys.py", f"print({said!r})")
        self.file("config", f"[default]\ncredential_process = {sys.executable} {script}\n")

    def _metadata(self) -> None:
        self.places = replace(self.places, imds_endpoint=self.moto)
        self.environ.delenv("AWS_EC2_METADATA_DISABLED")

    def _rotated(self) -> None:
        self.file("rotated", self.static("AKIDROTATED"))

    def found(self, *, external: bool = False) -> str:
        """The method and key that are found, such as ``env AKIDENVIRONMENT``."""
        keys = find_keys(replace(self.places, external=external))
        if keys is None:
            return "nothing"
        return f"{keys.method} {keys.get_frozen_credentials().access_key}"


@pytest.fixture
def host(tmp_path: Path, moto: str, monkeypatch: pytest.MonkeyPatch) -> Host:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return Host(
        tmp_path, moto, monkeypatch, Places(rotated=(tmp_path / "nowhere", tmp_path / "rotated"), region="us-east-1")
    )


FOUND = {
    "environment": "env AKIDENVIRONMENT",
    "web_identity": "assume-role-with-web-identity ",
    "assumed": "assume-role ",
    "profile": "shared-credentials-file AKIDPROFILE",
    "shared": "shared-credentials-file AKIDSHARED",
    "process": "custom-process AKIDPROCESS",
    "metadata": "iam-role test-key",
    "rotated": f"{ROTATED} AKIDROTATED",
}


@pytest.mark.parametrize("place", FOUND)
def test_keys_are_found_wherever_a_client_of_aws_looks(host: Host, place: str) -> None:
    assert host.found() == "nothing"
    host.lay(place)
    assert host.found().startswith(FOUND[place])


USUAL = ("environment", "web_identity", "assumed", "process", "metadata", "rotated")
WITH_FILES = ("environment", "web_identity", "shared", "metadata", "rotated")
EXTERNAL = ("environment", "rotated", "profile", "metadata")


@pytest.mark.parametrize(
    ("order", "external"), [(USUAL, False), (WITH_FILES, False), (EXTERNAL, True)], ids=["usual", "files", "external"]
)
def test_the_first_place_with_keys_wins(host: Host, order: tuple[str, ...], *, external: bool) -> None:
    for place in reversed(order):
        host.lay(place)
        assert host.found(external=external).startswith(FOUND[place])


@pytest.mark.parametrize("place", ["web_identity", "process"])
def test_a_machine_of_ecs_anywhere_does_not_look_where_the_reference_does_not(host: Host, place: str) -> None:
    host.lay(place)
    assert host.found(external=True) == "nothing"


def test_a_place_that_cannot_be_read_does_not_hide_those_after_it(host: Host) -> None:
    host.file("config", "[default]\ncredential_process = /no/such/program\n")
    with pytest.raises(FileNotFoundError):
        host.found()
    host.lay("rotated")
    assert host.found() == FOUND["rotated"]
    host.environ.setenv("AWS_ACCESS_KEY_ID", "half of a pair")
    assert host.found(external=True) == FOUND["rotated"]


def test_a_role_that_nobody_lets_us_take_does_not_hide_what_comes_after_it(host: Host) -> None:
    host.lay("web_identity")
    host.environ.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    host.environ.setenv("AWS_MAX_ATTEMPTS", "1")
    host.lay("rotated")
    assert host.found() == FOUND["rotated"]


def test_metadata_is_not_asked_where_the_operator_says_so(host: Host) -> None:
    host.lay("metadata")
    host.places = replace(host.places, imds_disabled=True)
    assert (host.found(), host.found(external=True)) == ("nothing", "nothing")


def test_the_profile_of_the_rotated_file_is_the_operators(host: Host) -> None:
    host.lay("rotated")
    host.file("rotated", host.static("AKIDOTHER", "other"))
    host.places = replace(host.places, profile="other")
    assert host.found() == f"{ROTATED} AKIDOTHER"
    host.places = replace(host.places, profile="missing")
    assert host.found() == "nothing"


def test_a_broken_program_that_gives_keys_is_an_expected_failure(host: Host) -> None:
    for text in ("print('no JSON')", "raise SystemExit(3)"):
        script = host.folder / "broken.py"
        script.write_text(text)
        (host.folder / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
        with pytest.raises(TryAgain, match="cannot read AWS credentials"):
            run(CredentialsClient(lambda: find_keys(host.places)).keys())


def test_a_rotated_file_is_read_each_minute_and_its_last_keys_serve_while_it_is_half_written(host: Host) -> None:
    async def story() -> None:
        now = 0.0
        client = CredentialsClient(lambda: find_keys(host.places), monotonic=lambda: now)
        host.lay("rotated")
        assert (await client.keys()).access_key_id == "AKIDROTATED"
        rotated = host.folder / "rotated"
        rotated.write_text(host.static("AKIDNEXT"))
        now = ROTATED_AFTER - 1
        assert (await client.keys()).access_key_id == "AKIDROTATED"
        now = ROTATED_AFTER + KEPT_FOR
        assert (await client.keys()).access_key_id == "AKIDNEXT"
        for text in ("[defau", "", "[default]\naws_access_key_id = half\n"):
            rotated.write_text(text)
            now += ROTATED_AFTER + KEPT_FOR
            assert (await client.keys()).access_key_id == "AKIDNEXT"
        client.forget()
        with pytest.raises(TryAgain):
            await client.keys()
        rotated.write_text(host.static("AKIDLAST"))
        assert (await client.keys()).access_key_id == "AKIDLAST"

    run(story())


class Role:
    """Whoever hands out keys of a role for an hour at a time, by a clock that the test turns."""

    def __init__(self) -> None:
        self.start = datetime.now(UTC)
        self.passed = timedelta()
        self.served = 0
        self.is_down = False

    def now(self) -> datetime:
        return self.start + self.passed

    def keys(self) -> dict[str, str]:
        self.served += 1
        ends = self.now() + SOON
        return {
            "Code": "Success", "AccessKeyId": f"ASIA{self.served}", "SecretAccessKey": "s", "Token": "t",
            "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        }  # fmt: skip

    async def container(self, _: web.Request) -> web.Response:
        return web.Response(status=500) if self.is_down else web.json_response(self.keys())

    async def metadata(self, request: web.Request) -> web.Response:
        if self.is_down:
            return web.Response(status=500)
        if request.path.endswith("/api/token"):
            return web.Response(text="a-token", headers={"x-aws-ec2-metadata-token-ttl-seconds": "300"})
        assert request.headers["x-aws-ec2-metadata-token"] == "a-token"
        if request.path.endswith("/security-credentials/"):
            return web.Response(text="role")
        return web.json_response(self.keys())

    async def single_sign_on(self, request: web.Request) -> web.Response:
        assert request.headers["x-amz-sso_bearer_token"] == "signed-on"
        found, milliseconds = self.keys(), int((self.now() + SOON).timestamp() * 1000)
        return web.json_response(
            {
                "roleCredentials": {
                    "accessKeyId": found["AccessKeyId"],
                    "secretAccessKey": "s",
                    "sessionToken": "t",
                    "expiration": milliseconds,
                }
            }
        )

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/role", self.container)
        app.router.add_route("*", "/latest/{path:.*}", self.metadata)
        app.router.add_get("/federation/credentials", self.single_sign_on)
        return app

    def process(self, host: Host) -> None:
        """A program that hands them out."""
        ends = f"{self.now() + SOON:%Y-%m-%dT%H:%M:%SZ}"
        count = host.folder / "count"
        script = f"""
import json, pathlib
count = pathlib.Path({str(count)!r}); n = int(count.read_text()) + 1 if count.exists() else 1; count.write_text(str(n))
print(json.dumps(dict(Version=1, AccessKeyId=f"ASIA{{n}}", SecretAccessKey="s", SessionToken="t",
    Expiration={ends!r} if n == 1 else "2099-01-01T00:00:00Z")))
"""
        path = host.file("rolling.py", script)
        host.file("config", f"[default]\ncredential_process = {sys.executable} {path}\n")


def by_container(host: Host, role: Role, url: str) -> None:
    host.environ.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/role")


def by_metadata(host: Host, role: Role, url: str) -> None:
    host.environ.delenv("AWS_EC2_METADATA_DISABLED")
    host.places = replace(host.places, imds_endpoint=url)


def by_process(host: Host, role: Role, url: str) -> None:
    role.process(host)


def by_single_sign_on(host: Host, role: Role, url: str) -> None:
    start = "https://start.example/"
    host.environ.setenv("AWS_ENDPOINT_URL_SSO", url)
    account = "sso_account_id = 123456789012\nsso_role_name = agent\n"
    host.file("config", f"[default]\nsso_start_url = {start}\nsso_region = us-east-1\n{account}")
    cache = host.folder / "sso"
    cache.mkdir()
    host.environ.setattr("botocore.credentials._local_now", role.now)  # judges what it has kept
    host.environ.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(cache))
    token = {"startUrl": start, "region": "us-east-1", "accessToken": "signed-on", "expiresAt": "2099-01-01T00:00:00Z"}
    (cache / f"{sha1(start.encode(), usedforsecurity=False).hexdigest()}.json").write_text(json.dumps(token))


@pytest.mark.parametrize("lay", [by_container, by_metadata, by_process, by_single_sign_on])
def test_keys_that_end_are_renewed_before_they_do(host: Host, lay: Callable[[Host, Role, str], None]) -> None:
    async def story() -> list[SigningKeys]:
        role, seconds = Role(), 0.0
        async with serving(role.app()) as url:
            await asyncio.to_thread(lay, host, role, url)
            client = CredentialsClient(
                lambda: find_keys(host.places), monotonic=lambda: seconds, clock=lambda: role.start + role.passed
            )
            found = []
            for minutes in (0, 44, 51):  # renewed somewhere between 15 and 10 minutes before the end
                seconds, role.passed = minutes * 60.0, timedelta(minutes=minutes)
                found.append(await client.keys())
            return found

    first, later, renewed = run(story())
    assert first.session_token == "t"
    assert [keys.access_key_id for keys in (first, later, renewed)] == ["ASIA1", "ASIA1", "ASIA2"]


def test_keys_that_cannot_be_renewed_serve_until_they_end_and_not_a_moment_longer(host: Host) -> None:
    async def story() -> None:
        role, seconds = Role(), 0.0
        async with serving(role.app()) as url:
            by_metadata(host, role, url)
            client = CredentialsClient(lambda: find_keys(host.places), monotonic=lambda: seconds, clock=role.now)
            await client.keys()
            role.is_down = True
            seconds, role.passed = 59 * 60.0, timedelta(minutes=59)
            assert (await client.keys()).access_key_id == "ASIA1"
            seconds, role.passed = 61 * 60.0, timedelta(minutes=61)
            with pytest.raises(TryAgain):
                await client.keys()
            role.is_down = False
            assert (await client.keys()).access_key_id == "ASIA2"

    run(story())
