"""Introspection as Amazon's agent has it: ``/v1/metadata``, ``/v1/tasks``, ``/license``; other paths list these."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import structlog
from aiohttp import web

from agent.model.errors import TryAgain
from agent.model.names import DockerId
from agent.model.portrait import Portrait
from agent.operator import introspection
from agent.operator.ports import Portraits, Tasks
from agent.wire import go_json

log = structlog.get_logger()

METADATA, TASKS, LICENSE = "/v1/metadata", "/v1/tasks", "/license"
AT_ONCE = 10
"""Containers of which Docker is asked side by side."""
PORTRAITS_WITHIN = 4.0
"""Seconds for all of them; what Docker has not told by then is shown by the agent's own rows."""
PACKAGE = "dockworker"
TEXTS = ("LICENSE", "NOTICE", "THIRD-PARTY")
BETWEEN = "\n" + "=" * 80 + "\n"


@dataclass(frozen=True, slots=True)
class Agent:
    """Which agent this is, as ECS and those who ask know it. `instance_arn` may come to be known late."""

    cluster: Callable[[], str]
    instance_arn: Callable[[], str]
    version: str
    hash: str


class IntrospectionDesk:
    """Answers from the rows of tasks, and from what Docker shows of their containers."""

    def __init__(self, agent: Agent, engine: Tasks, portraits: Portraits) -> None:
        self._agent = agent
        self._engine = engine
        self._portraits = portraits

    async def commands(self, _request: web.BaseRequest) -> web.Response:
        """The paths that there are. Programs that look for the agent go by its text."""
        body = go_json.dumps(introspection.COMMANDS)
        return web.Response(body=body, headers={"Content-Type": "text/plain; charset=utf-8"})

    async def metadata(self, _request: web.BaseRequest) -> web.Response:
        """Which agent this is."""
        agent = self._agent
        return _json(introspection.metadata(agent.cluster(), agent.instance_arn(), agent.version, agent.hash))

    async def tasks(self, request: web.BaseRequest) -> web.Response:
        """All tasks, or the one that a filter names."""
        rows = tuple(self._engine.tasks.values())
        query = dict(request.query)
        ids = introspection.docker_ids(introspection.wanted(rows, query))
        told = introspection.tasks(rows, await self._look(ids), query)
        return _json(told.body, told.status)

    async def license(self, _request: web.BaseRequest) -> web.Response:
        """The licence of the agent."""
        try:
            body, status = await asyncio.to_thread(licence), 200
        except OSError as error:
            log.warning("licence_not_read", error=str(error))
            body, status = "", 500
        return web.Response(body=body.encode(), status=status, headers={"Content-Type": "text/plain"})

    async def _look(self, ids: tuple[DockerId, ...]) -> dict[DockerId, Portrait]:
        """What Docker shows of them; one that it says nothing of in time is not in the answer."""
        shown: dict[DockerId, Portrait] = {}
        turns = asyncio.Semaphore(AT_ONCE)

        async def look(docker_id: DockerId) -> None:
            try:
                async with turns:
                    portrait = await self._portraits.portrait(docker_id)
            except TryAgain as error:
                log.info("portrait_not_had", container=docker_id[:12], error=str(error))
                return
            if portrait is not None:
                shown[docker_id] = portrait

        try:
            async with asyncio.timeout(PORTRAITS_WITHIN), asyncio.TaskGroup() as jobs:
                for docker_id in ids:
                    jobs.create_task(look(docker_id), name="portrait")
        except TimeoutError:
            log.warning("portraits_not_had", missing=len(ids) - len(shown))
        return shown


def licence() -> str:
    """The texts that lie beside the program, where it was installed or in its sources. Raises OSError."""
    found = [path.read_text(encoding="utf-8") for path in _texts()]
    if not found:
        raise FileNotFoundError("there is no licence beside the program")
    return BETWEEN.join(found)


def _texts() -> list[Path]:
    sources = Path(__file__).parents[2]
    beside = [sources / name for name in TEXTS if (sources / name).is_file()]
    if beside:
        return beside
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(one.locate())) for one in files if one.name in TEXTS and ".dist-info" in str(one)]


def _json(body: go_json.JsonObject, status: int = 200) -> web.Response:
    return web.Response(body=go_json.dumps(body), status=status, headers={"Content-Type": "application/json"})
