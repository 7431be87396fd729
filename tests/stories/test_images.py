"""Images by way of a registry that asks for a password."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.model.names import Image
from tests.docker.registries import PASSWORD, USER, a_registry, push
from tests.sample_image import remove_image
from tests.stories.house import DOCKWORKER, House, a_house, clean_environment, until

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef


@pytest.fixture
def images(docker_host: str, sample_image: Image, tmp_path: Path) -> Iterator[list[Image]]:
    """Two images in a locked registry, and neither on the host."""
    with a_registry(tmp_path, locked=True) as address:
        names = [Image(f"{address}/team/{name}:1") for name in ("app", "early")]
        for name in names:
            asyncio.run(push(docker_host, sample_image, name, {"username": USER, "password": PASSWORD}))
        yield names
        for name in names:
            asyncio.run(remove_image(docker_host, name))


def is_here(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode == 0


def run(house: House, image: str) -> str:
    app: ContainerDefinitionTypeDef = {"name": "app", "image": image, "memory": 32, "command": ["sleep", "600"]}
    return house.run(house.define("locked", app))


def test_a_locked_registry_opens_and_its_digest_is_what_ecs_is_told(images: list[Image], tmp_path: Path) -> None:
    app, early = images
    login = {app.partition("/")[0]: {"username": USER, "password": PASSWORD}}
    settings = {
        "ECS_IMAGE_PULL_BEHAVIOR": "once",
        "ECS_ENGINE_AUTH_TYPE": "docker",
        "ECS_ENGINE_AUTH_DATA": json.dumps(login),
        "DOCKWORKER_PREPULL_IMAGES": early,
    }
    with a_house(tmp_path, **settings) as house:
        until(lambda: is_here(early), "the image that was to be here before any task")
        assert not is_here(app)

        task = run(house, app)
        (container,) = house.until_status(task, "RUNNING")["containers"]

        assert is_here(f"{app.removesuffix(':1')}@{container['imageDigest']}")
        house.until_status(run(house, app), "RUNNING")
        house.agent.close()
        log = house.agent.log.read_text()
        assert "prepulled" in log
        assert [line["cause"] for line in map(json.loads, log.splitlines()) if line.get("heard") == "ImagePulled"] == [
            "registry",
            "cache",
        ]
        assert PASSWORD not in log


def test_without_the_login_the_task_says_what_to_look_at(images: list[Image], tmp_path: Path) -> None:
    with a_house(tmp_path, ECS_IMAGE_PULL_BEHAVIOR="default") as house:
        stopped = house.until_status(run(house, images[0]), "STOPPED")

    reason = stopped["containers"][0]["reason"]
    assert reason.startswith("CannotPullContainerError: The task can\u2019t pull the image. Check the login")


def test_logins_that_make_no_sense_end_the_agent_and_are_not_shown(docker_host: str, tmp_path: Path) -> None:
    given = {
        "ECS_DATADIR": str(tmp_path / "agent"),
        "ECS_BACKEND_HOST": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DOCKER_HOST": docker_host,
        "ECS_ENGINE_AUTH_TYPE": "docker",
        "ECS_ENGINE_AUTH_DATA": '{"r.example": {"password": "hush-hush"}}',
    }
    ended = subprocess.run(
        [*DOCKWORKER, "run", "--strict"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean_environment(), **given},
    )

    assert ended.returncode == 5
    assert "ECS_ENGINE_AUTH_DATA[" in ended.stderr
    assert "must hold username and password" in ended.stderr
    assert "hush" not in ended.stderr
