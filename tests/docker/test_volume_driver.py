import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from aiodocker.exceptions import DockerError
from aiodocker.volumes import DockerVolume

from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.model.acts import CreateVolume, RemoveVolume, Wiring
from agent.model.errors import GiveUp, OutcomeUnknown, TryAgain
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.parts import Efs, Scope, Volume, VolumeKind
from agent.model.status import ResourceKind
from tests.docker.making import NOWHERE, Room, a_room
from tests.docker.making import an_act as a_container
from tests.sample_image import client

pytestmark = pytest.mark.docker

Story = Callable[[Room], Awaitable[None]]
TASK = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/tests/1")
MATCHING = Surroundings(matches_shared_volumes=True)


def run(owner: Identity, story: Story, around: Surroundings = NOWHERE_SPECIAL) -> None:
    async def told() -> None:
        async with a_room(owner, around=around) as room:
            await story(room)

    asyncio.run(told())


@pytest.fixture
def name(docker_host: str) -> Iterator[str]:
    """The name of a volume that no other test knows; it is removed at the end."""
    drawn = f"dockworker-test-{secrets.token_hex(8)}"
    yield drawn

    async def remove() -> None:
        async with client(docker_host) as docker:
            try:
                await DockerVolume(docker, drawn).delete()
            except DockerError as error:
                if error.status != 404:
                    raise

    asyncio.run(remove())


def to_create(name: str, volume: Volume) -> CreateVolume:
    return CreateVolume(TASK, ResourceKind.VOLUME, volume.name, name, volume)


def to_remove(name: str) -> RemoveVolume:
    return RemoveVolume(TASK, ResourceKind.VOLUME, "v", name)


def shared(name: str, *, autoprovision: bool, labels: dict[str, str] | None = None) -> CreateVolume:
    volume = Volume("v", VolumeKind.DOCKER, scope=Scope.SHARED, autoprovision=autoprovision, labels=labels or {})
    return to_create(name, volume)


async def found(room: Room, name: str) -> dict[str, Any] | None:
    async with room.engine.call(10) as docker:
        every: list[dict[str, Any]] = (await docker.volumes.list())["Volumes"] or []
        return next((volume for volume in every if volume["Name"] == name), None)


def test_a_tasks_volume_is_made_once_carries_our_label_and_is_removed(owner: Identity, name: str) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    act = to_create(name, Volume("v", VolumeKind.DOCKER, options=options, labels={"team": "a"}))

    async def story(room: Room) -> None:
        await room.volumes.create(act)
        await room.volumes.create(act)

        made = await found(room, name)
        assert made is not None
        assert (made["Driver"], made["Options"]) == ("local", options)
        assert made["Labels"] == {"team": "a", "dockworker.agent": owner.agent_id}

        await room.volumes.remove(to_remove(name))
        assert await found(room, name) is None
        await room.volumes.remove(to_remove(name))

    run(owner, story)


def test_an_efs_volume_is_made_and_mounted_no_sooner_than_needed(owner: Identity, name: str) -> None:
    async def story(room: Room) -> None:
        await room.volumes.create(to_create(name, Volume("v", VolumeKind.EFS, efs=Efs("fs-1"))))

        made = await found(room, name)
        assert made is not None
        assert made["Options"]["o"].startswith("addr=fs-1.efs.eu-west-1.amazonaws.com,nfsvers=4.1,")

    run(owner, story, Surroundings(region="eu-west-1"))


@pytest.mark.usefixtures("sample_image")
def test_a_driver_of_volumes_or_logs_that_the_engine_lacks_is_refused_by_name(owner: Identity, name: str) -> None:
    act = to_create(name, Volume("v", VolumeKind.DOCKER, driver="no-such-driver"))
    logs = a_container(host_config='{"LogConfig": {"Type": "sumologic"}}')

    async def story(room: Room) -> None:
        # at the same time, because Docker looks for a plugin for 15 s
        volume, container = await asyncio.gather(
            room.volumes.create(act), room.containers.create(logs), return_exceptions=True
        )

        assert isinstance(volume, GiveUp)
        assert volume.name == "CannotCreateVolumeError"
        assert "no-such-driver" in str(volume)
        assert isinstance(container, GiveUp)
        assert container.name == "CannotCreateContainerError"
        assert "sumologic" in str(container)

    run(owner, story)


def test_a_refused_creation_shows_no_option(owner: Identity, name: str) -> None:
    act = to_create(name, Volume("v", VolumeKind.DOCKER, options={"size": "hunter2-hunter2"}))

    async def story(room: Room) -> None:
        with pytest.raises(GiveUp, match=r"\*\*\*") as told:
            await room.volumes.create(act)
        assert "hunter2" not in told.value.reason

    run(owner, story)


def test_a_shared_volume_that_is_missing_is_made_only_where_that_was_asked_for(owner: Identity, name: str) -> None:
    async def story(room: Room) -> None:
        with pytest.raises(GiveUp, match=f"volume '{name}' does not exist and autoprovision is set to false"):
            await room.volumes.create(shared(name, autoprovision=False))
        assert await found(room, name) is None

        await room.volumes.create(shared(name, autoprovision=True, labels={"team": "a"}))
        made = await found(room, name)
        assert made is not None
        assert made["Labels"] == {"team": "a"}

        await room.volumes.create(shared(name, autoprovision=False))
        await room.volumes.create(shared(name, autoprovision=True, labels={"team": "b"}))

    run(owner, story)


def test_a_host_may_insist_that_a_shared_volume_is_as_asked_for(owner: Identity, name: str) -> None:
    async def story(room: Room) -> None:
        await room.volumes.create(shared(name, autoprovision=True, labels={"team": "a"}))
        await room.volumes.create(shared(name, autoprovision=True, labels={"team": "a"}))

        with pytest.raises(GiveUp, match="labels"):
            await room.volumes.create(shared(name, autoprovision=True, labels={"team": "b"}))
        await room.volumes.create(shared(name, autoprovision=False, labels={"team": "b"}))

    run(owner, story, MATCHING)


@pytest.mark.usefixtures("sample_image")
def test_a_name_with_a_slash_reaches_nothing_else(owner: Identity) -> None:
    async def story(room: Room) -> None:
        bystander = await room.containers.create(a_container())
        with pytest.raises(GiveUp, match="no name of a volume"):
            await room.volumes.create(shared("../containers/json", autoprovision=True))
        await room.volumes.remove(to_remove(f"../containers/{bystander}"))
        assert await room.containers.inspect(bystander) is not None

    run(owner, story)


@pytest.mark.usefixtures("sample_image")
def test_a_volume_that_is_held_can_be_removed_later(owner: Identity, name: str) -> None:
    async def story(room: Room) -> None:
        await room.volumes.create(to_create(name, Volume("v")))
        holder = await room.containers.create(replace(a_container(), wiring=Wiring(binds=(f"{name}:/data",))))

        with pytest.raises(TryAgain, match="in use") as told:
            await room.volumes.remove(to_remove(name))
        assert told.value.name == "CannotRemoveVolumeError"

        await room.containers.remove(holder, force=True)
        await room.volumes.remove(to_remove(name))
        assert await found(room, name) is None

    run(owner, story)


def test_without_docker_every_outcome_is_unknown(owner: Identity) -> None:
    async def story() -> None:
        async with a_room(owner, NOWHERE) as room:
            for act in (to_create("x", Volume("v")), shared("x", autoprovision=True)):
                with pytest.raises(OutcomeUnknown):
                    await room.volumes.create(act)
            with pytest.raises(OutcomeUnknown):
                await room.volumes.remove(to_remove("x"))

    asyncio.run(story())
