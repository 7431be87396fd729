"""What the agent relies on of a Docker Engine's volumes."""

from dataclasses import replace

import pytest

from agent.docker.reasons import BAD_VOLUME
from agent.model.acts import CreateVolume, RemoveVolume, Wiring
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import TaskArn
from agent.model.parts import Scope, Volume, VolumeKind
from agent.model.status import ResourceKind
from tests.contracts.conftest import Play
from tests.contracts.docks import Dock, Program, create, seen

TASK = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/tests/1")


def making(name: str, scope: Scope = Scope.TASK, *, autoprovision: bool = False) -> CreateVolume:
    volume = Volume("data", VolumeKind.DOCKER, scope=scope, autoprovision=autoprovision)
    return CreateVolume(TASK, ResourceKind.VOLUME, "data", name, volume)


def removing(name: str) -> RemoveVolume:
    return RemoveVolume(TASK, ResourceKind.VOLUME, "data", name)


def test_a_volume_is_made_once_however_often_it_is_asked_for_and_removed_once(play: Play) -> None:
    async def story(dock: Dock) -> None:
        name = dock.volume_name()
        for _ in range(2):
            await dock.volumes.create(making(name))
            assert await dock.has_volume(name)
        for _ in range(2):
            await dock.volumes.remove(removing(name))
            assert not await dock.has_volume(name)

    play(story)


def test_a_host_volume_without_a_path_is_one_of_dockers(play: Play) -> None:
    async def story(dock: Dock) -> None:
        name = dock.volume_name()
        await dock.volumes.create(replace(making(name), volume=Volume("data")))
        assert await dock.has_volume(name)

    play(story)


def test_a_shared_volume_that_may_not_be_made_must_be_there(play: Play) -> None:
    async def story(dock: Dock) -> None:
        name = dock.volume_name()
        with pytest.raises(GiveUp, match=name) as told:
            await dock.volumes.create(making(name, Scope.SHARED))
        assert told.value.name == BAD_VOLUME
        assert not await dock.has_volume(name)

        await dock.a_foreign_volume(name)
        await dock.volumes.create(making(name, Scope.SHARED))
        assert await dock.has_volume(name)

    play(story)


def test_a_shared_volume_that_may_be_made_is_made_and_found_again(play: Play) -> None:
    async def story(dock: Dock) -> None:
        name = dock.volume_name()
        for _ in range(2):
            await dock.volumes.create(making(name, Scope.SHARED, autoprovision=True))
            assert await dock.has_volume(name)

    play(story)


def test_a_volume_that_a_container_holds_stays_until_the_container_is_removed(play: Play) -> None:
    async def story(dock: Dock) -> None:
        name = dock.volume_name()
        await dock.volumes.create(making(name))
        made = await create(dock, replace(dock.ask(Program.STAYS), wiring=Wiring(binds=(f"{name}:/data",))))

        with pytest.raises(TryAgain, match=name):
            await dock.volumes.remove(removing(name))
        assert (await seen(dock, made)).docker_id == made

        await dock.containers.remove(made, force=True)
        assert await dock.has_volume(name)
        await dock.volumes.remove(removing(name))
        assert not await dock.has_volume(name)

    play(story)
