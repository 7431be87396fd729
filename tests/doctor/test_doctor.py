"""The command on a real machine, with real containers that another agent left behind."""

import asyncio
import http.server
import json
import os
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

from agent.model.identity import Identity
from agent.model.names import Image
from tests.conftest import a_mark
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


def test_an_agent_beside_a_wrong_clock_and_a_place_that_takes_nothing_are_errors(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("no directory")
    with an_endpoint(timedelta(minutes=-20)) as endpoint, OtherAgent.serving() as other:
        code, told = doctor(place / "data", endpoint, other.url)

    assert code == 1
    found = levels(told)
    assert (found["agent"], found["clock"], found["data-dir"]) == ("error", "error", "error")
    assert INSTANCE in says(told, "agent")
    assert "1200 s fast" in says(told, "clock").replace("1199", "1200").replace("1201", "1200")
    assert all(one["suggestion"] for one in told["findings"] if one["level"] != "ok")


def test_without_docker_region_and_keys_everything_is_told_at_once(tmp_path: Path) -> None:
    code, told = doctor(
        tmp_path,
        "",
        "http://127.0.0.1:9",
        AWS_DEFAULT_REGION="",
        AWS_ACCESS_KEY_ID="",
        HOME=str(tmp_path),
        DOCKER_HOST=f"unix://{tmp_path}/docker.sock",
    )

    assert code == 1
    assert {"docker", "region", "credentials"} <= {check for check, level in levels(told).items() if level == "error"}


def test_settings_that_cannot_be_used_are_told_beside_all_else(tmp_path: Path) -> None:
    with an_endpoint(timedelta()) as endpoint:
        code, told = doctor(tmp_path, endpoint, "http://127.0.0.1:9", ECS_INSTANCE_ATTRIBUTES="nonsense")

    assert code == 1
    assert "ECS_INSTANCE_ATTRIBUTES" in says(told, "settings")
    assert levels(told)["docker"] == "ok"
