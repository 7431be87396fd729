"""Says in the log that a container asked for what is not its own: once in a while, and never for what."""

from datetime import datetime, timedelta

import structlog

from agent.endpoints.calls import Caller
from agent.model.clock import Clock

SAID_AGAIN_AFTER = timedelta(minutes=1)
MOST = 1024
"""Callers that are remembered."""

log = structlog.get_logger()


class Refusals:
    """Counts what was refused to each task, and tells."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[str, datetime] = {}
        self._more: dict[str, int] = {}

    def tell(self, caller: Caller, what: str) -> None:
        """*what*, such as ``credentials``, of another task was refused to *caller*."""
        who, now = caller.task or caller.known.value, self._clock()
        said = self._said.get(who)
        if said is not None and timedelta() <= now - said < SAID_AGAIN_AFTER:
            self._more[who] = self._more.get(who, 0) + 1
            return
        self._said.pop(who, None)
        self._said[who] = now
        if len(self._said) > MOST:
            del self._said[next(iter(self._said))]
        log.info(
            "not_its_own_refused",
            what=what,
            asked_by=caller.task or None,
            container=caller.container or None,
            known_by=caller.known.value,
            not_said=self._more.pop(who, 0),
        )
        self._more = {one: count for one, count in self._more.items() if one in self._said}
