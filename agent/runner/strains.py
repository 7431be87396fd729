"""Why no new task is taken: several may have a reason, and the engine hears of one."""

from collections.abc import Callable

import structlog

from agent.model.clock import Clock
from agent.model.events import Event, Strained

log = structlog.get_logger()


class Strains:
    """Joins the reasons of all who have one. The engine hears of each change, by *post*."""

    def __init__(self, post: Callable[[Event], None], clock: Clock) -> None:
        self._post = post
        self._clock = clock
        self._reasons: dict[str, str] = {}
        self._told = ""

    @property
    def reason(self) -> str:
        """Why no new task is taken; empty while they are."""
        return self._told

    def say(self, source: str, reason: str) -> None:
        """*source* has this reason now, or none where it is empty. The first to have one is the one that is heard."""
        if reason:
            self._reasons[source] = reason
        else:
            self._reasons.pop(source, None)
        first = next(iter(self._reasons.values()), "")
        if first == self._told:
            return
        if bool(first) != bool(self._told):
            log.warning("new_tasks_refused", reason=first) if first else log.warning("new_tasks_taken_again")
        self._told = first
        self._post(Strained(first, self._clock(), source))
