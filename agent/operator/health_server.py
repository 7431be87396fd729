"""Answers ``GET /health/ready``: 200 while the agent can do its work, 503 and what is wrong while it cannot.

And ``GET /health/live``: 503 only where a new process would help. ECS or Docker being away is no reason to start anew.
Nothing is told there that is secret.
"""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from agent.operator.health import Condition, view
from agent.operator.ports import Decisions

PATH = "/health/ready"
LIVE = "/health/live"
DECIDED_WITHIN = 60.0
"""Seconds that a batch of events may be decided and committed. The journal gives up a disk that hangs long before."""


class HealthDesk:
    """Answers from what *conditions* gives at that moment; it must not take long. *decisions* are looked at, if any."""

    def __init__(
        self,
        conditions: Callable[[], Sequence[Condition]],
        decisions: Decisions | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._conditions = conditions
        self._decisions = decisions
        self._now = now

    async def ready(self, _request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        return _told(*view(self._conditions()))

    async def live(self, _request: web.BaseRequest) -> web.Response:
        """Answer one request. That it is answered says that the loop turns."""
        status, body = view([Condition("decisions", self._stuck())])
        body["live"] = body.pop("ready")
        return _told(status, body)

    def _stuck(self) -> str:
        since = self._decisions.busy_since if self._decisions is not None else None
        now = self._now or asyncio.get_running_loop().time
        seconds = now() - since if since is not None else 0.0
        return f"nothing has been decided for {seconds:.0f} s" if seconds > DECIDED_WITHIN else ""


def _told(status: int, body: dict[str, object]) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
