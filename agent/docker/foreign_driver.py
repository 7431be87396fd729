"""Looks at containers of ECS tasks that another agent made. Only looks: they are that agent's."""

import json

from aiodocker.exceptions import DockerError

from agent.docker import foreign, labels
from agent.docker.engine_driver import DockerEngine
from agent.model.errors import TryAgain

_BOUND = 60.0
_NOT_FOUND = 404
_MEMBERS = ("Id", "State", "Names", "Labels")


class ForeignDriver:
    """Asks Docker. Methods raise TryAgain."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    async def containers(self) -> list[foreign.Foreign]:
        """All containers of ECS tasks that no agent of our kind made, those that have ended too."""
        try:
            async with self._engine.call(_BOUND, TryAgain) as client:
                found = await client.containers.list(all="true", filters=json.dumps({"label": [labels.TASK]}))
        except DockerError as error:
            raise TryAgain(f"cannot list containers: {error.message}") from error
        entries = ({name: one[name] for name in _MEMBERS} for one in found)
        return [one for entry in entries if (one := foreign.listed(entry)) is not None]

    async def look(self, docker_id: str) -> foreign.Inspected | None:
        """One of them in full; None where it is gone."""
        try:
            async with self._engine.call(_BOUND, TryAgain) as client:
                return foreign.inspected(await client.containers.container(docker_id).show())
        except DockerError as error:
            if error.status == _NOT_FOUND:
                return None
            raise TryAgain(f"cannot inspect {docker_id[:12]}: {error.message}") from error
