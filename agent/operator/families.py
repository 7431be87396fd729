"""What of the agent is shown as a family of metrics: plain functions from what is known to OpenMetrics families.

Labels hold words that the house knows in advance, never an id: however many tasks there are, the page has as many
lines. What has not happened yet is shown as 0, so that an alert has something to compare with.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from agent.model.acts import Act, CancelPull, ListContainers
from agent.model.events import Event, Fault
from agent.model.reports import Verdict
from agent.model.status import Health, Status
from agent.model.task import Task
from agent.operator.health import Condition
from agent.operator.meter import TIMED, Meter, Spread, snake
from agent.operator.ports import Calls, Collected, Decisions, Journal, Link, Reports

ACTS = tuple(snake(one) for one in get_args(Act) if one not in (CancelPull, ListContainers))
"""The acts that have an outcome."""
OUTCOMES = ("done", *(fault.value for fault in Fault), "bug")
EVENTS = tuple(snake(one) for one in get_args(Event))
ERRORS = ("late", "lost", "unreadable", "3xx", "4xx", "5xx")
STATES = tuple(one.name.lower() for one in Status)
SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Reports that ECS has not taken."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """What is known of the values behind an id that tasks use."""

    is_here: bool
    age: float | None = None
    """Seconds since they arrived."""
    left: float | None = None
    """Seconds until they expire."""


def one(name: str, says: str, value: float, unit: str = "") -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, says, value=float(value), unit=unit)


def gauges(name: str, says: str, label: str, values: Mapping[str, float], unit: str = "") -> Metric:
    """A gauge with one label."""
    family = GaugeMetricFamily(name, says, labels=[label], unit=unit)
    for word, value in values.items():
        family.add_metric([word], float(value))
    return family


def count(name: str, says: str, value: float, unit: str = "") -> Metric:
    """A counter without labels."""
    return CounterMetricFamily(name, says, value=float(value), unit=unit)


def counts(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    """A counter with one label."""
    family = CounterMetricFamily(name, says, labels=[label])
    for word, value in values.items():
        family.add_metric([word], float(value))
    return family


def spreads(name: str, says: str, label: str, values: Mapping[str, Spread]) -> Metric:
    """A histogram of durations; *label* may be empty, for one spread that needs none."""
    family = HistogramMetricFamily(name, says, labels=[label] if label else [], unit=SECONDS)
    for word, spread in values.items():
        family.add_metric([word] if label else [], list(_buckets(spread)), sum_value=spread.total)
    return family


def _buckets(spread: Spread) -> Iterator[tuple[str, float]]:
    so_far = 0
    for bound, number in zip((*spread.bounds, float("inf")), spread.counts, strict=True):
        so_far += number
        yield ("+Inf" if bound == float("inf") else str(bound)), float(so_far)


def of_program(version: str, docker: str, began: datetime) -> Iterator[Metric]:
    """Which program this is, and since when."""
    family = InfoMetricFamily(
        "dockworker_build", "The version of the agent, and that of the Docker Engine at its start."
    )
    family.add_metric([], {"version": version, "docker": docker})
    yield family
    yield one("dockworker_start_time_seconds", "When the agent was started, in Unix time.", began.timestamp())


def of_health(conditions: Iterable[Condition]) -> Iterator[Metric]:
    """What the agent needs."""
    found = tuple(conditions)
    yield one("dockworker_ready", "1 while nothing vital is wrong.", not any(c.trouble and c.is_vital for c in found))
    fine = {condition.name: float(not condition.trouble) for condition in found}
    yield gauges("dockworker_condition_ok", "1 while the condition holds.", "condition", fine)


def of_link(link: Link | None, now: float) -> Iterator[Metric]:
    """The session with ECS; there is none before the instance is registered."""
    up = link is not None and link.is_connected
    changed = link.changed_at if link is not None else None
    heard = link.heard_at if link is not None else None
    tried, opened = (link.attempts, link.connections) if link is not None else (0, 0)
    yield one("dockworker_acs_connected", "1 while a connection to ECS stands.", up)
    if changed is not None:
        says = "How long the connection to ECS has been up, or down."
        yield one("dockworker_acs_state_age_seconds", says, now - changed, SECONDS)
    if heard is not None:
        says = "How long ago ECS was heard on the connection, or on the last one."
        yield one("dockworker_acs_silence_seconds", says, now - heard, SECONDS)
    yield count("dockworker_acs_connect_attempts", "Connections to ECS that were tried.", tried)
    yield count(
        "dockworker_acs_connections", "Connections to ECS that were opened; all but the first are reconnects.", opened
    )


def of_tasks(tasks: Collection[Task], now: datetime) -> Iterator[Metric]:
    """The tasks that are known, and those that wait for room."""
    of_state, of_containers = dict.fromkeys(STATES, 0.0), dict.fromkeys(STATES, 0.0)
    health = {one.value.lower(): 0.0 for one in Health}
    for task in tasks:
        of_state[task.known.name.lower()] += 1
        for container in task.containers:
            of_containers[container.known.name.lower()] += 1
            if container.known is Status.RUNNING:
                health[container.health.value.lower()] += 1
    waiting = [task.arrived for task in tasks if task.admitted is None and task.wanted is Status.RUNNING]
    stopping = sum(task.wanted is Status.STOPPED and task.known is not Status.STOPPED for task in tasks)
    oldest = max(0.0, (now - min(waiting)).total_seconds()) if waiting else 0.0
    yield gauges("dockworker_tasks", "Tasks that the agent knows, by how far they have come.", "state", of_state)
    yield one("dockworker_tasks_stopping", "Tasks that are to stop and have not stopped.", stopping)
    yield one("dockworker_tasks_broken", "Tasks that a bug of the agent met.", sum(task.broken for task in tasks))
    yield gauges("dockworker_containers", "Containers of tasks, by how far they have come.", "state", of_containers)
    yield gauges(
        "dockworker_containers_health", "Running containers, by what their health checks say.", "health", health
    )
    yield one("dockworker_queue_depth", "Tasks that wait for CPU, memory, ports or GPUs.", len(waiting))
    yield one("dockworker_queue_oldest_wait_seconds", "How long the first of them has waited.", oldest, SECONDS)


def of_meter(meter: Meter) -> Iterator[Metric]:
    """What has happened."""
    yield _acts(meter.acts)
    yield one("dockworker_acts_in_flight", "Acts that are under way.", meter.in_flight)
    events = {name: float(meter.events[name]) for name in EVENTS}
    yield counts("dockworker_events", "Events that were decided.", "event", events)
    yield count("dockworker_tasks_assigned", "Tasks that ECS sent and that were new.", meter.assigned)
    stops = {before: float(meter.task_stops[before]) for before in ("starting", "running")}
    yield counts("dockworker_tasks_stopped", "Tasks that stopped, by what they were doing before.", "before", stops)
    exits = {how: float(meter.exits[how]) for how in ("succeeded", "failed", "unknown")}
    yield counts("dockworker_container_exits", "Containers that ended, by exit code.", "result", exits)
    yield count("dockworker_container_restarts", "Restarts by policy.", meter.restarts)
    yield count("dockworker_reports", "Changes that ECS is to be told.", meter.reports)
    yield count("dockworker_docker_losses", "How often Docker stopped answering.", meter.events["docker_lost"])
    yield count("dockworker_clock_steps", "How often the wall clock was set.", meter.events["clock_stepped"])
    yield spreads("dockworker_task_start_seconds", "From a task's arrival until it ran.", "", {"": meter.task_starts})
    yield spreads(
        "dockworker_pull_seconds", "How long images took to be there, by where they were.", "source", meter.pulls
    )
    for name in TIMED.values():
        says = f"How long it took to {name} a container."
        yield spreads(f"dockworker_container_{name}_seconds", says, "", {"": meter.durations[name]})


def _acts(ended: Mapping[tuple[str, str], int]) -> Metric:
    says = "What Docker and the host were asked to do, by outcome."
    family = CounterMetricFamily("dockworker_acts", says, labels=["act", "outcome"])
    for act in ACTS:
        for outcome in OUTCOMES:
            if _can(act, outcome):
                family.add_metric([act, outcome], float(ended.get((act, outcome), 0)))
    return family


def _can(act: str, outcome: str) -> bool:
    return outcome != Fault.PORT_TAKEN or act in ("create_container", "start_container")


def of_docker(calls: Calls, *, is_there: bool) -> Iterator[Metric]:
    """The connection to Docker."""
    yield one("dockworker_docker_up", "1 while Docker answers.", is_there)
    yield count("dockworker_docker_calls", "Calls to Docker.", calls.calls)
    errors = {kind: float(calls.errors.get(kind, 0)) for kind in ERRORS}
    yield counts("dockworker_docker_errors", "Calls to Docker that failed; 4xx are often expected.", "kind", errors)


def of_decisions(decisions: Decisions, now: float) -> Iterator[Metric]:
    """The one place where everything is decided."""
    busy = 0.0 if decisions.busy_since is None else now - decisions.busy_since
    yield one("dockworker_inbox_depth", "Events that wait to be decided.", decisions.waiting)
    yield one("dockworker_decision_age_seconds", "How long the present batch has been decided.", busy, SECONDS)


def of_journal(journal: Journal, backlog: Backlog | None, now: datetime) -> Iterator[Metric]:
    """The journal, and the reports in it; *backlog* is None where the journal did not say in time."""
    yield one("dockworker_journal_durable", "1 while the disk has all that was decided.", journal.is_durable)
    yield count("dockworker_journal_commits", "Transactions of the journal.", journal.commits)
    says = "How long they took together."
    yield count("dockworker_journal_commit_seconds", says, journal.commit_seconds, SECONDS)
    if backlog is not None:
        age = max(0.0, (now - backlog.oldest).total_seconds()) if backlog.oldest is not None else 0.0
        yield one("dockworker_outbox_depth", "Reports that ECS has not taken.", backlog.count)
        yield one("dockworker_outbox_oldest_age_seconds", "How old the first of them is.", age, SECONDS)


def of_reports(reports: Reports) -> Iterator[Metric]:
    """The telling of reports."""
    answers = {verdict.value: float(reports.answers.get(verdict.value, 0)) for verdict in Verdict}
    yield counts("dockworker_report_answers", "How ECS answered reports.", "answer", answers)
    yield one("dockworker_reports_paused", "1 while ECS takes no reports.", reports.is_refused)


def of_images(collected: Collected) -> Iterator[Metric]:
    """What the cleanup of images has removed."""
    yield count("dockworker_collected_images", "Images that were removed.", collected.images)
    yield count(
        "dockworker_collected_containers", "Ended containers of others that were removed.", collected.containers
    )
    says = "The sizes of the images that were removed."
    yield count("dockworker_collected_bytes", says, collected.bytes, "bytes")


def of_credentials(found: Collection[Credential]) -> Iterator[Metric]:
    """The credentials of tasks' roles."""
    ages = [one.age for one in found if one.age is not None]
    left = [one.left for one in found if one.left is not None]
    missing = sum(not one.is_here for one in found)
    yield one("dockworker_credentials", "Role credentials that live tasks use.", len(found))
    yield one("dockworker_credentials_missing", "Of these, those that ECS has not sent.", missing)
    yield one("dockworker_credentials_expired", "Of these, those whose time is up.", sum(one <= 0 for one in left))
    if ages:
        says = "How long ago the oldest of them arrived."
        yield one("dockworker_credentials_oldest_age_seconds", says, max(ages), SECONDS)
    if left:
        says = "How long until the first of them expires."
        yield one("dockworker_credentials_expiry_seconds", says, min(left), SECONDS)


def of_lag(spread: Spread, worst: float) -> Iterator[Metric]:
    """The event loop."""
    yield spreads("dockworker_loop_lag_seconds", "How late the event loop was, twice a second.", "", {"": spread})
    yield one("dockworker_loop_lag_worst_seconds", "How late it was at worst in the last minute.", worst, SECONDS)
