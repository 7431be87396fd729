"""The Dockerfile, built on a base made here and run as the agent, with Docker's socket mounted."""

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.names import Image
from tests.machine.base_image import ROOT, import_base
from tests.stories.house import House, Program, remove_containers, until

SOCKET = "/var/run/docker.sock"


def docker(*arguments: str) -> str:
    """What the command says; fails with everything it said."""
    environ = {**os.environ, "DOCKER_BUILDKIT": "0"}
    ended = subprocess.run(
        ["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environ
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the Dockerfile makes."""
    mark = secrets.token_hex(4)
    base, built = f"dockworker.invalid/base-{mark}", f"dockworker.invalid/agent-{mark}"
    import_base(base, tmp_path_factory.mktemp("wheels"))
    dockerfile = str(ROOT / "packaging" / "Dockerfile")
    try:
        docker("build", "--file", dockerfile, "--build-arg", f"BASE={base}", "--tag", built, str(ROOT))
        yield built
    finally:
        subprocess.run(["docker", "rmi", "--force", built, base], capture_output=True, check=False)


def test_the_image_holds_the_locked_versions(image: str) -> None:
    python = "/opt/dockworker/bin/python"
    said = docker("run", "--rm", "--entrypoint", python, image, "-m", "pip", "list", "--format=json")
    locked = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    inside = {f"{one['name']}=={one['version']}".lower() for one in json.loads(said)}
    ours = {one for one in inside if not one.startswith(("pip==", "setuptools=="))}

    assert {one for one in ours - set(locked) if not one.startswith("dockworker==")} == set()
    assert len(ours) > 10


def test_the_agent_in_a_container_runs_a_task_on_the_host_and_stops_in_order(
    image: str, tmp_path: Path, sample_image: Image
) -> None:
    house = House(tmp_path, {"ECS_CONTAINER_STOP_TIMEOUT": "1s"})
    name = f"dockworker-{secrets.token_hex(4)}"
    house.agent_data.mkdir()
    house.agent = in_a_container(house, image, name, tmp_path / "agent.log")
    try:
        house.start()
        task = house.run(
            house.define("inside", {"name": "app", "image": sample_image, "memory": 32, "command": ["sleep", "600"]})
        )
        house.until_status(task, "RUNNING")
        house.ecs.stop_task(task=task)
        house.until_status(task, "STOPPED")

        assert house.agent.end(signal.SIGTERM) == 0
        until(lambda: name not in docker("ps", "--all", "--format", "{{.Names}}").split(), "the container to be gone")
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        house.close()
        remove_containers(house)


def in_a_container(house: House, image: str, name: str, log: Path) -> Program:
    """The agent of *house*, with the same settings, in a container called *name*."""
    environ = {key: value for key, value in house.agent.environ.items() if key.startswith(("AWS_", "ECS_"))}
    volumes = (f"{SOCKET}:{SOCKET}", f"{house.agent_data}:{house.agent_data}")
    command = (
        *("docker", "run", "--rm", "--name", name, "--network", "host"),
        *(word for volume in volumes for word in ("--volume", volume)),
        *(word for key in environ for word in ("--env", key)),
        image,
    )
    return Program("agent", command, {**os.environ, **environ}, log)
