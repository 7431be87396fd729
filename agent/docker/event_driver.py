"""Docker's event stream, filtered at Docker: only containers with our label, only what changes where they stand."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from aiodocker.exceptions import DockerError

from agent.docker import labels
from agent.docker.engine_driver import DockerEngine
from agent.model.errors import TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId
from agent.model.seen import Hint

_ACTIONS = ("create", "start", "die", "destroy", "health_status: healthy", "health_status: unhealthy")
"""`exec_*` never: health checks would flood the stream. `stop`, `kill` and `oom` tell nothing that `die` does not.

Health in full: a filter for `health_status` alone makes Docker compare beginnings, and takes in what newer engines say
of every single check.
"""
_OPENING = 10.0


class EventDriver:
    """Hints about *owner*'s containers. Fulfils the runner's `Hints`."""

    def __init__(
        self, engine: DockerEngine, owner: Callable[[], Identity], taken: labels.Taken = labels.NOTHING_TAKEN
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._taken = taken
        self._filters = json.dumps({"type": ["container"], "label": [labels.filter_for(taken)], "event": _ACTIONS})

    async def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
        """Call *opened* once the stream stands, then give hints. Raises TryAgain when the stream ends.

        Nothing that happens after *opened* was called is missed. A stream may be silent for ever: whether Docker is
        still there is for `ping` to ask.
        """
        self._engine.forget_version()
        try:
            async with AsyncExitStack() as stack:
                stream = self._engine.stream("GET", "events", {"filters": self._filters}, lost=TryAgain)
                async with asyncio.timeout(_OPENING):
                    events = await stack.enter_async_context(stream)
                opened()
                async for event in events:
                    if (hint := self._hint(event)) is not None:
                        yield hint
        except TimeoutError as error:
            raise TryAgain(f"Docker did not open its event stream within {_OPENING:g} s") from error
        except DockerError as error:
            raise TryAgain(f"Docker refused its event stream: {error.message}") from error
        raise TryAgain("Docker's event stream ended")

    def _hint(self, event: dict[str, Any]) -> Hint | None:
        actor = event.get("Actor") or {}
        docker_id = actor.get("ID")
        if not docker_id:
            return None
        theirs = labels.ours(docker_id, actor.get("Attributes") or {}, self._owner(), self._taken)
        if theirs is None:
            return None
        action = str(event.get("Action", ""))
        return Hint(DockerId(docker_id), action, theirs.task, _ended_well(action, event))


def _ended_well(action: str, event: dict[str, Any]) -> datetime | None:
    """When a container ended with exit code 0, in whole microseconds as an inspect's times; None for other news."""
    nanoseconds = event.get("timeNano")
    if action != "die" or event["Actor"]["Attributes"].get("exitCode") != "0" or not isinstance(nanoseconds, int):
        return None
    return datetime.fromtimestamp(nanoseconds // 1000 / 1_000_000, UTC)
