"""Takes an operator's wish to stop a task: ``POST /v1/tasks/{ARN, id or beginning of one}/stop``, ``{"force": true}``.

The answer comes when the wish is decided, before the disk has it: a disk that is full keeps nobody from being stopped.
Said again it changes nothing, so whoever got no answer may ask again.
"""

import asyncio
import json
import socket
from collections.abc import Callable

import structlog
from aiohttp import web

from agent.model.clock import Clock, utc_now
from agent.model.events import Event, OperatorStop
from agent.model.names import TaskArn, task_id
from agent.model.status import Status
from agent.operator import views
from agent.operator.peer_driver import Peer, in_words, peer_of
from agent.operator.ports import Tasks

log = structlog.get_logger()

DECIDED_WITHIN = 5.0
"""Seconds for an engine that is at work on other news; it needs microseconds."""
UNKNOWN = "this agent knows no such task; one that has stopped is forgotten when its containers are removed"
AMBIGUOUS = "more than one task begins like that"


class StopDesk:
    """Brings wishes to the engine by *post*, and hears of every event that was decided."""

    def __init__(self, engine: Tasks, post: Callable[[Event], None], clock: Clock = utc_now) -> None:
        self._engine = engine
        self._post = post
        self._clock = clock
        self._undecided: dict[int, asyncio.Future[None]] = {}

    def decided(self, event: Event) -> None:
        """An event has been decided; perhaps somebody waits for it."""
        waiting = self._undecided.get(id(event))
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def stop(self, request: web.Request) -> web.Response:
        """Answer one request. Only root and the agent's own user are heard, whatever the socket's mode has become."""
        peer = _peer(request)
        if peer is None or not peer.may_command:
            log.warning("operator_refused", peer=str(peer))
            return web.json_response({"error": "only root may stop tasks"}, status=403)
        found = views.matches(question := request.match_info["task"], self._engine.tasks)
        if not found:
            return web.json_response({"error": UNKNOWN}, status=404)
        if len(found) > 1:
            return web.json_response({"error": AMBIGUOUS, "matches": found}, status=409)
        force = await _is_forced(request)
        if force is None:
            return web.json_response({"error": 'the body must be {"force": true} or {"force": false}'}, status=400)
        was_over = self._is_over(found[0])
        operator = await in_words(peer)
        log.warning("operator_stopped_task", task=task_id(found[0]), force=force, operator=operator, asked=question)
        if not was_over and not await self._decide(OperatorStop(found[0], force, operator, self._clock())):
            return web.json_response({"error": "the agent has not got round to it; ask again"}, status=503)
        return web.json_response({"taskArn": found[0], "force": force, "wasOver": was_over, **self._brief(found[0])})

    def _is_over(self, arn: TaskArn) -> bool:
        task = self._engine.tasks.get(arn)
        return task is None or task.known is Status.STOPPED

    def _brief(self, arn: TaskArn) -> views.View:
        task = self._engine.tasks.get(arn)
        return views.in_brief(task) if task is not None else {"known": Status.STOPPED.name}

    async def _decide(self, event: OperatorStop) -> bool:
        """Have *event* decided. False where that takes too long."""
        decided = self._undecided[id(event)] = asyncio.get_running_loop().create_future()
        try:
            self._post(event)
            async with asyncio.timeout(DECIDED_WITHIN):
                await decided
        except TimeoutError:
            return False
        finally:
            del self._undecided[id(event)]
        return True


def _peer(request: web.Request) -> Peer | None:
    connection = request.get_extra_info("socket")
    try:
        return peer_of(connection) if connection is not None and connection.family == socket.AF_UNIX else None
    except OSError:
        return None


async def _is_forced(request: web.Request) -> bool | None:
    """What the body asks for; None for one that makes no sense. No body asks for a stop with its grace."""
    text = await request.read()
    try:
        asked = json.loads(text) if text else {}
    except ValueError:
        return None
    force = asked.get("force", False) if isinstance(asked, dict) else None
    return force if isinstance(force, bool) else None
