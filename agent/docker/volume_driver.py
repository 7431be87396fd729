"""Docker's volumes: create, see that they are there, remove."""

from collections.abc import Callable
from typing import Any

from aiodocker.exceptions import DockerError
from aiodocker.volumes import DockerVolume

from agent.docker import labels, reasons, volumes
from agent.docker.engine_driver import DockerEngine
from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.model.acts import CreateVolume, RemoveVolume
from agent.model.errors import OutcomeUnknown, TryAgain
from agent.model.identity import Identity

_NOT_FOUND, _CONFLICT = 404, 409
_BOUND = 300.0
"""Seconds in which ECS users know Docker to answer (task engine, time-outs of Docker calls)."""


class VolumeDriver:
    """Volumes of tasks, and those that tasks share. Fulfils the runner's `Volumes`.

    What belongs to one task carries *owner*'s label; a shared volume carries what the task definition says alone.
    """

    def __init__(
        self, engine: DockerEngine, owner: Callable[[], Identity], host: Surroundings = NOWHERE_SPECIAL
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._host = host

    async def create(self, act: CreateVolume) -> None:
        """Create, or see that it is there; GiveUp where a shared one is missing and may not be made.

        Docker takes the same creation twice for one. A driver that is not there, or cannot mount, is a GiveUp.
        """
        volumes.check_name(act.name)
        if act.volume.is_shared:
            await self._share(act)
            return
        await self._create(act, {labels.AGENT: self._owner().agent_id})

    async def remove(self, act: RemoveVolume) -> None:
        """Remove. Absent is success; one that a container still holds is tried again."""
        if not volumes.is_name(act.name):
            return
        try:
            async with self._engine.call(_BOUND, aim="removing volume") as client:
                await DockerVolume(client, act.name).delete()
        except DockerError as error:
            if error.status == _CONFLICT:
                raise TryAgain(error.message, reasons.CANNOT_REMOVE_VOLUME) from error
            if error.status != _NOT_FOUND:
                raise reasons.of_ending(reasons.CANNOT_REMOVE_VOLUME, error.status, error.message) from error

    async def _share(self, act: CreateVolume) -> None:
        found = await self._find(act.name)
        if found is None and not act.volume.autoprovision:
            raise volumes.missing(act.name)
        if found is None:
            await self._create(act, {})
        elif act.volume.autoprovision and self._host.matches_shared_volumes:
            volumes.check_match(act.volume, act.name, found)

    async def _create(self, act: CreateVolume, ours: dict[str, str]) -> None:
        body = volumes.create_body(act, self._host)
        try:
            async with self._engine.call(_BOUND, aim="creating volume") as client:
                await client.volumes.create({**body, "Labels": {**body["Labels"], **ours}})
        except DockerError as error:
            text = reasons.scrubbed(error.message, volumes.private_in(act.volume))
            raise reasons.of_making(reasons.CANNOT_CREATE_VOLUME, error.status, text) from error

    async def _find(self, name: str) -> dict[str, Any] | None:
        try:
            async with self._engine.call(_BOUND, aim="inspecting volume") as client:
                found: dict[str, Any] = await DockerVolume(client, name).show()
                return found
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise OutcomeUnknown(f"cannot inspect volume {name}: {error.message}") from error
