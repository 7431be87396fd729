"""The command on a real machine, with real containers that another agent left behind."""

import asyncio
import http.server
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.config.settings import Settings
from agent.docker.engine_driver import DEFAULT_HOST
from agent.doctor.checks import examine
from agent.doctor.findings import Finding, Given, Level, Sight
from agent.doctor.look_driver import look
from agent.model.identity import Identity
from agent.model.names import DockerId, Image, TaskArn
from agent.model.status import Status
from agent.model.takeover import TakenContainer, TakenTask, Takeover
from agent.store.identity_driver import IdentityFile
from agent.store.lock_driver import only_with_identity
from agent.store.takeover_driver import TakeoverFile
from tests.conftest import a_mark
from tests.docker.making import NOWHERE
from tests.sample_image import client
from tests.takeover.other_agent import INSTANCE, OtherAgent

pytestmark = pytest.mark.docker

TASK = "arn:aws:ecs:us-east-1:123456789012:task/tests/"


@contextmanager
def an_endpoint(ahead: timedelta) -> Iterator[str]:
    """An ECS that answers everything with a refusal, and whose clock is *ahead* of ours."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as inherited
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def doctor(data_dir: Path, endpoint: str, agent: str, **environ: str) -> tuple[int, dict[str, Any]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ECS_", "DOCKWORKER_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "agent", "doctor", "--json", "--agent", agent],
        env={
            **clean,
            "ECS_DATADIR": str(data_dir),
            "ECS_BACKEND_HOST": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            **environ,
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    return ended.returncode, json.loads(ended.stdout)


def levels(told: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["level"] for one in told["findings"]}


def says(told: dict[str, Any], check: str) -> str:
    return "\n".join(one["says"] for one in told["findings"] if one["check"] == check)


async def a_container(host: str, owner: Identity, task: str) -> str:
    name, _, value = a_mark(owner).partition("=")
    labels = {
        "com.amazonaws.ecs.cluster": "tests",
        "com.amazonaws.ecs.container-name": "web",
        "com.amazonaws.ecs.task-arn": task,
        "com.amazonaws.ecs.task-definition-family": "shop",
        "com.amazonaws.ecs.task-definition-version": "7",
        name: value,
    }
    async with client(host) as docker:
        config: dict[str, Any] = {"Image": "dockworker.invalid/test:1", "Cmd": ["sleep", "600"], "Labels": labels}
        container = await docker.containers.create(config, name=f"ecs-shop-7-web-{secrets.token_hex(10)}")
        await container.start()
        return container.id


async def is_running(host: str, docker_id: str) -> bool:
    async with client(host) as docker:
        shown = await docker.containers.container(docker_id).show()
        return bool(shown["State"]["Running"])


def test_what_nobody_looks_after_is_told_of_and_left_alone(
    tmp_path: Path, owner: Identity, docker_host: str, sample_image: Image
) -> None:
    task = TASK + secrets.token_hex(16)
    left = asyncio.run(a_container(docker_host, owner, task))
    with an_endpoint(timedelta()) as endpoint:
        code, told = doctor(tmp_path, endpoint, "http://127.0.0.1:9")

    assert left[:12] in str(told["findings"])
    assert task in says(told, "foreign-container")
    assert levels(told)["foreign-container"] == "warning"
    assert (levels(told)["docker"], levels(told)["credentials"], levels(told)["clock"]) == ("ok", "ok", "ok")
    assert code == (1 if told["errors"] else 0)
    assert asyncio.run(is_running(docker_host, left))
    assert list(tmp_path.iterdir()) == []


def looked(given: Given, agent: str) -> dict[str, Finding]:
    return {one.check: one for one in examine(asyncio.run(look(given, agent_url=agent)))}


def given(data_dir: Path, endpoint: str, docker_host: str = DEFAULT_HOST) -> Given:
    settings = Settings(
        data_dir=data_dir, backend_host=endpoint, region="us-east-1", imds_disabled=True, docker_host=docker_host
    )
    return Given(settings, environ={"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"})


def test_an_agent_beside_a_wrong_clock_and_a_place_that_takes_nothing_are_errors(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("no directory")
    with an_endpoint(timedelta(minutes=-20)) as endpoint, OtherAgent.serving() as other:
        found = looked(given(place / "data", endpoint), other.url)

    assert {found[one].level for one in ("agent", "clock", "data-dir")} == {Level.ERROR}
    assert INSTANCE in found["agent"].says
    assert re.search("(1199|1200|1201) s fast", found["clock"].says)
    assert found["docker"].level is Level.OK


def test_a_host_without_docker_region_keys_and_way_to_ecs_is_told_everything_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(data_dir=tmp_path, backend_host="http://127.0.0.1:9", imds_disabled=True, docker_host=NOWHERE)
    found = looked(Given(settings, environ={}), "http://127.0.0.1:9")

    errors = {check for check, one in found.items() if one.level is Level.ERROR}
    assert {"docker", "region", "credentials", "ecs-endpoint"} <= errors
    assert "127.0.0.1:9" in found["ecs-endpoint"].says
    assert re.search("docker.sock: .+", found["docker"].says)


def test_what_was_taken_over_is_no_strangers(
    tmp_path: Path, owner: Identity, docker_host: str, sample_image: Image
) -> None:
    task = TASK + secrets.token_hex(16)
    one = asyncio.run(a_container(docker_host, owner, task))
    taken = TakenTask(TaskArn(task), "shop", "7", (TakenContainer(DockerId(one), "web", Image("w"), Status.RUNNING),))
    takeover = Takeover(owner.agent_id, "tests", owner.instance_arn, "http://there", datetime.now(UTC), (taken,))
    asyncio.run(TakeoverFile(tmp_path / "takeover.json").write(takeover))
    asyncio.run(IdentityFile(tmp_path / "identity.json").write(owner))
    with an_endpoint(timedelta()) as endpoint:
        sight = asyncio.run(look(given(tmp_path, endpoint), agent_url="http://127.0.0.1:9"))

    assert one not in {found.docker_id for found in sight.foreigners}
    assert sight.identity == owner


def test_an_agent_of_ours_that_runs_is_known_by_its_identity(tmp_path: Path, owner: Identity) -> None:
    asyncio.run(IdentityFile(tmp_path / "identity.json").write(owner))
    with an_endpoint(timedelta()) as endpoint, only_with_identity(owner.agent_id):
        sight = asyncio.run(look(given(tmp_path, endpoint), agent_url="http://127.0.0.1:9"))

    assert sight.own_agent == os.getpid()
    assert any(one.port == int(endpoint.rpartition(":")[2]) and one.process == os.getpid() for one in sight.listeners)


def test_an_agent_that_runs_is_asked_what_is_wrong_with_it(tmp_path: Path) -> None:
    place = tmp_path / ("a-name-that-no-socket-may-have-" * 4)
    place.mkdir()

    async def ready(_request: web.Request) -> web.Response:
        body = {"ready": False, "docker": {"ok": True}, "acs": {"ok": False, "reason": "there is no connection"}}
        return web.json_response(body, status=503)

    async def story(endpoint: str) -> Sight:
        app = web.Application()
        app.router.add_get("/health/ready", ready)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        folder = os.open(place, os.O_RDONLY)
        try:
            await web.UnixSite(runner, f"/proc/self/fd/{folder}/dockworker.sock").start()
            return await look(given(place, endpoint), agent_url="http://127.0.0.1:9")
        finally:
            await runner.cleanup()
            os.close(folder)

    with an_endpoint(timedelta()) as endpoint:
        assert asyncio.run(story(endpoint)).own_troubles == {"acs": "there is no connection"}
        assert asyncio.run(look(given(tmp_path, endpoint), agent_url="http://127.0.0.1:9")).own_troubles is None
