"""Leaving for good, where something does not go at the first try."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent import departure
from agent.config.load import load
from agent.departure import clear
from agent.model.acts import RemoveCgroup
from agent.model.errors import AgentError, GiveUp, TryAgain
from agent.model.identity import Identity
from agent.opening import IDENTITY
from agent.store.identity_driver import IdentityFile
from tests.aws.peers import an_ecs
from tests.fakes.metadata import a_metadata_service

BUSY = TryAgain("cannot remove /ecs/b: it is busy")


@dataclass
class Machine:
    """Containers, the cgroups that they tell of, and a volume; what is `stuck` does not go."""

    told: dict[str, str] = field(default_factory=lambda: {"a1": "/ecs/a", "b1": "/ecs/b", "b2": "/ecs/b", "c1": ""})
    cgroups: set[str] = field(default_factory=lambda: {"/ecs/a", "/ecs/b"})
    volumes: int = 1
    stuck: dict[str, AgentError] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    busy: int = 0
    """So many tries find the cgroups busy."""

    async def containers(self) -> list[str]:
        return list(self.told)

    async def stop(self, container: str, default_grace: float) -> str:
        assert default_grace == 3
        self.stopped.add(container)
        return self.told[container]

    async def remove(self, container: str | RemoveCgroup) -> None:
        if isinstance(container, RemoveCgroup):
            if (error := self.stuck.get(container.path)) is not None:
                raise error
            if self.busy:
                self.busy -= 1
                raise BUSY
            self.cgroups.discard(container.path)
            return
        assert container in self.stopped
        if (error := self.stuck.get(container)) is not None:
            raise error
        del self.told[container]

    async def remove_volumes(self) -> None:
        self.volumes = 0

    def clear(self) -> int:
        return asyncio.run(clear(self, self, 3))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "PAUSE", 0)


def test_a_cgroup_that_the_kernel_has_not_let_go_of_yet_is_tried_again() -> None:
    machine = Machine(busy=9)
    assert machine.clear() == 4
    assert machine.cgroups == set()


def test_everything_goes() -> None:
    machine = Machine()
    assert machine.clear() == 4
    assert (machine.told, machine.cgroups, machine.volumes) == ({}, set(), 0)


@pytest.mark.parametrize("error", [BUSY, GiveUp("CgroupError", "cannot remove /ecs/b: the kernel says no")])
def test_a_cgroup_that_does_not_go_is_found_at_the_next_try(error: AgentError) -> None:
    machine = Machine(stuck={"/ecs/b": error})
    with pytest.raises(OSError, match="/ecs/b"):
        machine.clear()
    assert machine.cgroups == {"/ecs/b"}, "the others are gone"
    assert machine.stopped == {"a1", "b1", "b2", "c1"}
    assert set(machine.told) == {"b1", "b2"}, "and what tells of this one is not"
    machine.stuck.clear()
    assert machine.clear() == 2
    assert (machine.told, machine.cgroups, machine.volumes) == ({}, set(), 0)


def test_a_container_that_does_not_go_costs_no_cgroup() -> None:
    machine = Machine(stuck={"a1": TryAgain("Docker does not answer")})
    with pytest.raises(TryAgain):
        machine.clear()
    assert machine.cgroups == set()
    machine.stuck.clear()
    machine.clear()
    assert (machine.told, machine.volumes) == ({}, 0)


def test_the_ecs_that_user_data_names_is_the_one_that_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    said: list[str] = []

    async def story() -> list[str]:
        async with an_ecs() as right, an_ecs() as wrong, a_metadata_service() as service:
            right.will({})
            wrong.fails("ClientException", message="there is no such instance")
            monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", wrong.url)
            user_data = {"ECSAgentConfiguration": {"APIEndpoint": right.url}}
            service.texts["user-data"] = json.dumps(user_data)
            places = {"ECS_DATADIR": str(tmp_path), "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}
            settings = load({**places, "DOCKWORKER_TASK_REDIRECT": "false"})
            await IdentityFile(tmp_path / IDENTITY).write(Identity("leaving", "demo", "arn:instance"))
            assert await departure.leave(settings, force=False, say=said.append) == 0, said
            assert wrong.calls == []
            return [call.action for call in right.calls]

    assert asyncio.run(story()) == ["DeregisterContainerInstance"]
    assert "Deregistered arn:instance from demo." in said
