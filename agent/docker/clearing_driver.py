"""Clears away everything that one agent has in Docker, whatever state it is in. For an agent that leaves for good."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiodocker
from aiodocker.exceptions import DockerError

from agent.docker import labels
from agent.docker.engine_driver import DockerEngine
from agent.model.errors import TryAgain
from agent.model.names import DockerId

_NOT_FOUND = 404
_BOUND, _STOP_BUFFER = 60.0, 120.0


class ClearingDriver:
    """What carries the label of *agent_id*, and containers that were *taken* over.

    Methods raise TryAgain for what Docker says, and can be repeated.
    """

    def __init__(self, engine: DockerEngine, agent_id: str, taken: labels.Taken = labels.NOTHING_TAKEN) -> None:
        self._engine = engine
        self._taken = taken
        self._mine = f"{labels.AGENT}={agent_id}"

    async def containers(self) -> list[str]:
        """The ids of all containers."""
        found: list[str] = []
        async with self._asking(_BOUND, "list containers") as client:
            filters = json.dumps({"label": [self._mine]})
            found += [one.id for one in await client.containers.list(all="true", filters=filters)]
        return found + [one for one in self._taken if one not in found]

    async def stop(self, container: str, default_grace: float) -> str:
        """Stop *container* with its own grace. Gives the cgroup of its task, if it has one."""
        grace, cgroup = default_grace, ""
        async with self._asking(_BOUND, "inspect a container") as client:
            shown = await client.containers.container(container).show()
            told = labels.read(shown["Config"]["Labels"] or {}) or self._taken.get(DockerId(container))
            grace = default_grace if told is None or told.stop_timeout is None else told.stop_timeout
            cgroup = str(shown["HostConfig"].get("CgroupParent") or "")
        async with self._asking(grace + _STOP_BUFFER, "stop a container") as client:
            await client.containers.container(container).stop(t=math.ceil(grace))
        return cgroup

    async def remove(self, container: str) -> None:
        """Remove *container*, and with it what tells of its task's cgroup."""
        async with self._asking(_BOUND, "remove a container") as client:
            await client.containers.container(container).delete(v=True, force=True)

    async def remove_volumes(self) -> None:
        """Remove the volumes of tasks."""
        async with self._asking(_BOUND, "remove volumes") as client:
            for volume in (await client.volumes.list(filters={"label": [self._mine]}))["Volumes"] or ():
                await (await client.volumes.get(volume["Name"])).delete()

    @asynccontextmanager
    async def _asking(self, bound: float, what: str) -> AsyncIterator[aiodocker.Docker]:
        """For one thing at a time. What is not there is no failure."""
        try:
            async with self._engine.call(bound, TryAgain) as client:
                yield client
        except DockerError as error:
            if error.status != _NOT_FOUND:
                raise TryAgain(f"cannot {what}: {error.message}") from error
