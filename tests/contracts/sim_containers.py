"""Two ports of the runner over the Docker in memory."""

import math
from collections.abc import Sequence
from datetime import timedelta

from agent.model.acts import (
    ContainerAct,
    CreateContainer,
    CreateVolume,
    KillContainer,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    StopContainer,
)
from agent.model.credentials import NO_VALUES, ContainerValues
from agent.model.names import DockerId, TaskArn
from agent.model.seen import Seen, Summary
from tests.engine.sim_docker import SimDocker


class SimVolumes:
    """Volumes of a `SimDocker`. Fulfils the runner's `Volumes`."""

    def __init__(self, docker: SimDocker) -> None:
        self._docker = docker

    async def create(self, act: CreateVolume) -> None:
        self._docker.create_volume(act)

    async def remove(self, act: RemoveVolume) -> None:
        self._docker.remove_volume(act)


class SimContainers:
    """Containers of a `SimDocker`. Fulfils the runner's `Containers`; every call takes some of the engine's time."""

    CALL = timedelta(milliseconds=1)

    def __init__(self, docker: SimDocker) -> None:
        self._docker = docker

    async def create(self, act: CreateContainer, values: ContainerValues = NO_VALUES) -> DockerId:
        made = self._do(act)
        assert made is not None
        return made

    async def start(self, docker_id: DockerId) -> None:
        self._do(StartContainer(*self._whose(docker_id), docker_id))

    async def stop(self, docker_id: DockerId, grace: float) -> None:
        kill_at = self._docker.now + timedelta(seconds=max(0, math.ceil(grace)))
        act = StopContainer(*self._whose(docker_id), docker_id, kill_at)
        if not self._docker.is_ready(act):
            self._docker.now = kill_at
        if grace <= 0:  # Docker signals, and kills at once
            await self.kill(docker_id)
        self._do(act)

    async def kill(self, docker_id: DockerId) -> None:
        self._do(KillContainer(*self._whose(docker_id), docker_id))

    async def remove(self, reference: str, *, force: bool) -> None:
        found = await self.inspect(reference)
        if found is not None:
            self._do(RemoveContainer(*self._whose(found.docker_id), found.name, found.docker_id, force))

    async def inspect(self, reference: str) -> Seen | None:
        found = self._docker.containers.get(DockerId(reference)) or self._docker.by_name(reference)
        return found.seen() if found is not None and found.is_ours else None

    async def listing(self) -> Sequence[Summary]:
        return self._docker.listing()

    def _do(self, act: ContainerAct) -> DockerId | None:
        self._docker.tick(self.CALL)
        return self._docker.effect(act)

    def _whose(self, docker_id: DockerId) -> tuple[TaskArn, str, int]:
        found = self._docker.containers.get(docker_id)
        if found is None:
            return TaskArn("gone"), "gone", 1
        return found.labels.task, found.labels.container, found.labels.run
