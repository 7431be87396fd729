"""``dockworker dev`` as a person meets it: a process, its output in a pipe, Ctrl-C."""

import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiodocker
import pytest

from agent.cli import redirect, sample
from agent.cli.walk import short
from agent.store.journal_driver import FILE_NAME
from tests.stories.house import clean_environment, free_port, remove_cgroups

PATIENCE = 60
NO_RULES = ("env", "DOCKWORKER_TASK_REDIRECT=false")
"""The firewall is one for all tests."""


@pytest.fixture
def command(tmp_path: Path, docker_host: str) -> Iterator[list[str]]:
    """``dockworker dev`` in a place of its own. Whatever it leaves in Docker is removed at the end."""
    had_image = asyncio.run(_has_image(docker_host))
    listen = f"127.0.0.1:{free_port()}"
    yield [*NO_RULES, sys.executable, "-m", "agent", "dev", "--data", str(tmp_path), "--listen", listen]
    asyncio.run(_clean(docker_host, tmp_path, keep_image=had_image))


async def _has_image(host: str) -> bool:
    async with aiodocker.Docker(host) as docker:
        return any(sample.IMAGE in (image.get("RepoTags") or []) for image in await docker.images.list())


def containers(docker_host: str, place: Path) -> list[str]:
    return asyncio.run(_containers(docker_host, place))


async def _containers(host: str, place: Path) -> list[str]:
    file = place / "agent" / "identity.json"
    if not file.exists():
        return []
    identity = json.loads(file.read_text())["identity"]
    async with aiodocker.Docker(host) as docker:
        filters = json.dumps({"label": [f"dockworker.agent={identity['agent_id']}"]})
        return [one.id for one in await docker.containers.list(all=True, filters=filters)]


async def _clean(host: str, place: Path, *, keep_image: bool) -> None:
    ids = await _containers(host, place)
    async with aiodocker.Docker(host) as docker:
        for one in ids:
            await docker.containers.container(one).delete(force=True, v=True)
        if not keep_image and await _has_image(host):
            await docker.images.delete(sample.IMAGE, force=True)
    await remove_cgroups(place / "agent")


def test_the_demo_runs_a_task_to_its_end_and_leaves_nothing(
    command: list[str], tmp_path: Path, docker_host: str
) -> None:
    with_rules = command[len(NO_RULES) :]
    ended = subprocess.run(
        [*with_rules, "--demo"], capture_output=True, text=True, timeout=PATIENCE, check=False, env=clean_environment()
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.findall(r"\(sample-demo:1\)  (\w+)", ended.stdout) == ["PENDING", "RUNNING", "STOPPED"]
    assert "exit code 0" in ended.stdout
    assert "  | all done" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert containers(docker_host, tmp_path) == []
    assert cgroups(tmp_path) == []
    assert "redirect_made" in (tmp_path / "dockworker.log").read_text()
    assert rules_to(int(command[-1].rpartition(":")[2]) + 1) == []


def cgroups(place: Path) -> list[Path]:
    """What is left in the kernel of the tasks that the agent at *place* has known."""
    with closing(sqlite3.connect(place / "agent" / FILE_NAME)) as rows:
        tasks = [str(arn).rpartition("/")[2] for (arn,) in rows.execute("SELECT arn FROM tasks")]
    assert tasks
    return [found for one in tasks for found in Path("/sys/fs/cgroup").glob(f"**/*{one}*")]


def test_dev_stays_until_ctrl_c_and_what_it_prints_works_as_printed(
    command: list[str], tmp_path: Path, docker_host: str
) -> None:
    with subprocess.Popen(
        [*command, "--sample", "--stop-line", "make down"], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as dev:
        assert dev.stdout
        said = ""
        while "Ctrl-C" not in said:
            said += dev.stdout.readline()
        assert re.findall(r"\(sample:1\)  (\w+)", said) == ["PENDING", "RUNNING"]
        describe, run, stop = re.findall(r"^  (\. .* && .*/aws ecs .*)$", said, re.MULTILINE)

        assert json.loads(shell(describe))["tasks"][0]["lastStatus"] == "RUNNING"
        (extra,) = json.loads(shell(run))["tasks"]
        first = json.loads(shell(stop))["task"]
        assert first["desiredStatus"] == "STOPPED"
        awaited = {
            f"task {short(extra['taskArn'])} (sample:1)  RUNNING",
            f"task {short(first['taskArn'])} (sample:1)  STOPPED",
        }
        while any(line not in said for line in awaited):
            said += dev.stdout.readline()

        dev.send_signal(signal.SIGINT)
        last = dev.stdout.read()
        assert dev.wait(PATIENCE) == 0

    assert "Left running: 1 task and the Docker Engine." in last
    assert last.rstrip().endswith("make down")
    assert len(containers(docker_host, tmp_path)) == 2

    stopped = subprocess.run(
        [*command, "--stop"], capture_output=True, text=True, timeout=PATIENCE, check=True, env=clean_environment()
    )

    assert "Tasks that run: 1." in stopped.stdout
    assert containers(docker_host, tmp_path) == []


def shell(line: str) -> str:
    return subprocess.run(
        ["sh", "-c", line], check=True, capture_output=True, text=True, env=clean_environment()
    ).stdout


def test_without_an_engine_it_says_what_to_do(command: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [*command, "--demo"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**clean_environment(), "DOCKER_HOST": f"unix://{tmp_path}/no.sock"},
    )

    assert ended.returncode == 1
    assert "`packaging/engine up` starts one" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_what_an_earlier_one_left_in_the_firewall_is_removed_also_without_an_engine(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(command[-1].rpartition(":")[2]) + 1
    monkeypatch.setenv("DOCKWORKER_TASK_ADDRESS", f"127.0.0.1:{port}")
    assert redirect.main(["make"]) == 0
    was = rules_to(port)
    ended = subprocess.run(
        [*command[len(NO_RULES) :], "--stop"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**clean_environment(), "DOCKER_HOST": f"unix://{tmp_path}/no.sock"},
    )

    assert (ended.returncode, len(was), rules_to(port)) == (0, 2, [])


def rules_to(port: int) -> list[str]:
    """The firewall rules that lead containers to *port*."""
    listed = subprocess.run(["iptables", "-w", "-t", "nat", "-S"], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if line.endswith((f":{port}", f"--to-ports {port}"))]
