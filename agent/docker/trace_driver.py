"""What the containers of this host tell of the agents that made them."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiodocker.exceptions import DockerError

from agent.docker import labels
from agent.docker.engine_driver import DockerEngine
from agent.model.errors import TryAgain
from agent.model.identity import Trace
from agent.model.names import DockerId
from agent.model.seen import Phase

_BOUND = 60.0
_DEAD = frozenset({Phase.EXITED, Phase.DEAD, Phase.REMOVING})


class _Entry(msgspec.Struct, rename="pascal"):
    id: str = ""
    created: float = 0.0
    state: str = ""
    labels: dict[str, str] | None = None


class TraceDriver:
    """All containers that agents made, whichever, and those that were *taken* over. Fulfils membership's `Traces`."""

    def __init__(self, engine: DockerEngine, taken: labels.Taken = labels.NOTHING_TAKEN) -> None:
        self._engine = engine
        self._taken = taken

    async def traces(self) -> list[Trace]:
        """What each container tells. Raises TryAgain."""
        try:
            async with self._engine.call(_BOUND, TryAgain) as client:
                filters = json.dumps({"label": [labels.filter_for(self._taken)]})
                found = await client.containers.list(all="true", filters=filters)
        except DockerError as error:
            raise TryAgain(f"cannot list containers: {error.message}") from error
        entries = ({name: one[name] for name in ("Id", "Created", "State", "Labels")} for one in found)
        return [trace for entry in entries if (trace := _trace(entry, self._taken)) is not None]


def _trace(raw: dict[str, Any], taken: labels.Taken) -> Trace | None:
    try:
        entry = msgspec.convert(raw, _Entry)
    except msgspec.ValidationError as error:
        raise TryAgain(f"Docker's listing cannot be read: {error}") from error
    found = entry.labels or {}
    if (told := labels.read(found) or taken.get(DockerId(entry.id))) is None:
        return None
    return Trace(
        agent_id=told.agent,
        cluster=found.get(labels.CLUSTER, ""),
        instance_arn=told.instance,
        home=found.get(labels.HOME, ""),
        task=told.task,
        created_at=datetime.fromtimestamp(entry.created, UTC),
        is_alive=entry.state not in _DEAD,
    )
