"""The page of metrics: OpenMetrics, or the text that Prometheus read before it, for those who ask for that."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from agent.model.clock import Clock, utc_now
from agent.model.credentials import RoleCredentials
from agent.model.status import Status
from agent.operator import families
from agent.operator.families import Backlog, Credential
from agent.operator.health import Health
from agent.operator.lag_loop import LagLoop
from agent.operator.meter import Meter
from agent.operator.ports import Calls, Collected, Credentials, Decisions, Journal, Link, Reports, Tasks

log = structlog.get_logger()

PATH = "/metrics"
JOURNAL_WITHIN = 1.0
"""Seconds for the journal to say how many reports wait: a disk that hangs must not hide the rest of the page."""
OPENMETRICS, TEXT = "application/openmetrics-text", "text/plain"


@dataclass(frozen=True, slots=True)
class Program:
    """Which program this is."""

    version: str
    docker: str
    began: datetime


@dataclass(slots=True)
class Gauged:
    """Whatever figures are read from, each time somebody asks."""

    program: Program
    engine: Tasks
    meter: Meter
    lag: LagLoop
    health: Health
    docker: Calls
    docker_is_there: Callable[[], bool]
    decisions: Decisions
    journal: Journal
    reports: Reports
    collected: Collected
    credentials: Credentials
    link: Link | None = None
    """There is none before the instance is registered."""
    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    others: list[Callable[[], Iterable[Metric]]] = field(default_factory=list)
    """More families: whoever has some puts them here."""


class MetricsDesk:
    """Answers from what is known at that moment. Calls nobody but the journal."""

    def __init__(self, gauged: Gauged) -> None:
        self._gauged = gauged
        self._process: ProcessCollector | None = None

    async def metrics(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        backlog = await self._backlog()
        page = _Page(tuple(self._families(backlog)))
        asked = request.headers.get("Accept", "")
        form = TEXT if TEXT in asked and OPENMETRICS not in asked else OPENMETRICS
        written, content_type = choose_encoder(form)
        body = await asyncio.to_thread(self._write, written, page)  # reads /proc besides
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    def _write(self, written: Callable[[CollectorRegistry], bytes], page: "_Page") -> bytes:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(page)
        self._process = self._process or ProcessCollector(registry=None)  # reads /proc from the start
        registry.register(self._process)
        return written(registry)

    async def _backlog(self) -> Backlog | None:
        try:
            async with asyncio.timeout(JOURNAL_WITHIN):
                return Backlog(*await self._gauged.journal.backlog())
        except (OSError, TimeoutError) as error:
            log.warning("outbox_not_counted", error=str(error))
            return None

    def _families(self, backlog: Backlog | None) -> Iterator[Metric]:
        gauged = self._gauged
        now, monotonic, program = gauged.clock(), gauged.monotonic(), gauged.program
        tasks = gauged.engine.tasks.values()
        yield from families.of_program(program.version, program.docker, program.began)
        yield from families.of_health(gauged.health())
        yield from families.of_link(gauged.link, monotonic)
        yield from families.of_tasks(tasks, now)
        yield from families.of_meter(gauged.meter)
        yield from families.of_docker(gauged.docker, is_there=gauged.docker_is_there())
        yield from families.of_decisions(gauged.decisions, monotonic)
        yield from families.of_journal(gauged.journal, backlog, now)
        yield from families.of_reports(gauged.reports)
        yield from families.of_images(gauged.collected)
        yield from families.of_credentials(tuple(self._credentials(now, monotonic)))
        yield from families.of_lag(gauged.lag.spread, gauged.lag.worst)
        for other in gauged.others:
            yield from other()

    def _credentials(self, now: datetime, monotonic: float) -> Iterator[Credential]:
        live = (task for task in self._gauged.engine.tasks.values() if task.known is not Status.STOPPED)
        for known in sorted({one for task in live for one in task.spec.credentials_ids}):
            values = self._gauged.credentials.get(known)
            arrived = self._gauged.meter.credentials.get(known)
            if values is None:
                yield Credential(is_here=False)
            else:
                yield Credential(
                    is_here=True,
                    age=None if arrived is None else monotonic - arrived,
                    left=seconds_left(values, now),
                )


def seconds_left(values: object, now: datetime) -> float | None:
    """Seconds until *values* expire; None where ECS has not said when in words that can be read."""
    try:
        until = datetime.fromisoformat(values.expiration) if isinstance(values, RoleCredentials) else None
    except ValueError:
        return None
    return (until - now).total_seconds() if until is not None and until.tzinfo is not None else None


class _Page:
    """Families that are at hand, as the library asks for them."""

    def __init__(self, shown: Iterable[Metric]) -> None:
        self._shown = shown

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._shown
