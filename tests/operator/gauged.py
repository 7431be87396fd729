"""Everything that the page of metrics is read from, at values that a test decides."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiohttp.test_utils import make_mocked_request
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.model.credentials import RoleCredentials
from agent.model.names import TaskArn
from agent.model.status import Health as Checked
from agent.model.status import Status
from agent.model.task import Container, Task
from agent.operator.health import Condition, Health
from agent.operator.lag_loop import LagLoop
from agent.operator.meter import Meter
from agent.operator.metrics_server import PATH, Gauged, MetricsDesk, Program
from tests.operator.scene import ARN, a_task, after

NOW = after(600)
SOON = "2026-01-01T00:30:00Z"


@dataclass
class Engine:
    tasks: Mapping[TaskArn, Task] = field(default_factory=dict)


@dataclass
class Calls:
    calls: int = 40
    errors: Counter[str] = field(default_factory=lambda: Counter({"late": 2, "4xx": 3}))


@dataclass
class Decisions:
    busy_since: float | None = None
    waiting: int = 0


@dataclass
class Journal:
    is_durable: bool = True
    commits: int = 7
    commit_seconds: float = 0.25
    rows: int = 2
    oldest: datetime | None = field(default_factory=lambda: after(540))

    async def backlog(self) -> tuple[int, datetime | None]:
        return self.rows, self.oldest


class HangingJournal(Journal):
    async def backlog(self) -> tuple[int, datetime | None]:
        await asyncio.Event().wait()
        raise AssertionError


@dataclass
class Reports:
    is_refused: bool = False
    answers: Counter[str] = field(default_factory=lambda: Counter({"settled": 5, "later": 1}))


@dataclass
class Collected:
    images: int = 3
    containers: int = 1
    bytes: int = 12_000_000


@dataclass
class Link:
    is_connected: bool = True
    connections: int = 3
    attempts: int = 4
    changed_at: float | None = 70.0
    heard_at: float | None = 95.0


@dataclass
class Vault:
    there: Mapping[str, RoleCredentials] = field(default_factory=dict)

    def get(self, credentials_id: str) -> RoleCredentials | None:
        return self.there.get(credentials_id)


def credentials(name: str, expiration: str = SOON) -> RoleCredentials:
    return RoleCredentials(name, "arn:role", "TaskApplication", expiration, "PLANTED-KEY", "PLANTED-SECRET", "PLANTED")


def many_tasks(number: int) -> dict[TaskArn, Task]:
    """So many tasks in all states, with two containers each."""
    tasks = []
    for index in range(number):
        state = Status(index % 5)
        app = Container("app", state, health=list(Checked)[index % 3], exit_code=0)
        task = a_task(app, Container("db", state), arn=TaskArn(f"{ARN[:-8]}{index:08x}"))
        spec = replace(task.spec, task_credentials_id=f"id-of-{index}")
        admitted = task.admitted if state else None
        tasks.append(replace(task, spec=spec, known=state, admitted=admitted))
    return {task.arn: task for task in tasks}


def gauged(number: int = 5, journal: Journal | None = None) -> Gauged:
    """What a page is made of, with *number* tasks."""
    tasks, meter = many_tasks(number), Meter(lambda: 100.0)
    health = Health(lambda: True, lambda: "", lambda: "", lambda: True)
    health.others.append(lambda: Condition("loop", is_vital=False))
    there = {f"id-of-{index}": credentials(f"id-of-{index}") for index in range(number - 1)}
    meter.credentials = dict.fromkeys(there, 40.0)
    return Gauged(
        Program("0.1.0", "20.10.24", datetime(2026, 1, 1, tzinfo=UTC)),
        Engine(tasks),
        meter,
        LagLoop(),
        health,
        Calls(),
        lambda: True,
        Decisions(),
        journal or Journal(),
        Reports(),
        Collected(),
        Vault(there),
        Link(),
        clock=lambda: NOW,
        monotonic=lambda: 100.0,
    )


def page(source: Gauged, accept: str = "") -> tuple[str, str]:
    """The page's type, and its text."""
    request = make_mocked_request("GET", PATH, headers={"Accept": accept} if accept else {})
    answer = asyncio.run(MetricsDesk(source).metrics(request))
    assert isinstance(answer.body, bytes)
    return answer.headers["Content-Type"], answer.body.decode()


def families(source: Gauged) -> list[Metric]:
    """The page, read by the letter of OpenMetrics."""
    read: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
    return list(read(page(source)[1]))


def samples(source: Gauged) -> dict[str, float]:
    """The value of each line, by its name and labels."""
    return {
        one.name + ("{" + ",".join(f"{k}={v}" for k, v in one.labels.items()) + "}" if one.labels else ""): one.value
        for family in families(source)
        for one in family.samples
    }
