"""What to tell ECS now.

An outbox row is one change of a task. Rows leave in order, one call per task and ten calls in all at a time. A change
of the task itself (`moved`) leaves at once, in a call of its own that takes along the container-only changes before
it; so RUNNING and STOPPED never share a call. Container-only changes with nothing to ride with leave after 100 ms. The
rows of a call that has been sent once are frozen together, and what is sent depends on them alone: however often a
call is repeated, it says the same. What is told of an attachment is a call of its own.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import takewhile

from agent.model.names import TaskArn
from agent.model.reports import ContainerReport, TaskReport
from agent.model.saved import OutboxRow

CALLS_AT_ONCE = 10
RIDE_WITHIN = 0.1
"""Seconds that a container-only change waits for a change of its task."""
ROWS_PER_CALL = 50
"""Keeps a call small after a long silence in which containers came and went."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unsettled row, and the moment on the monotonic clock at which it was read from the outbox."""

    row: OutboxRow
    since: float


@dataclass(frozen=True, slots=True)
class Call:
    """One change that is submitted. `number` names it for good; `frozen` says that its rows are bound to it already.

    A change of the task itself with nothing before it is bound by the rules alone: no other row ever joins it, so that
    it may leave without a write to the disk.
    """

    number: int
    rows: tuple[int, ...]
    report: TaskReport
    frozen: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls to send now, and the moment at which to ask again if nothing else happens (None: nothing waits)."""

    calls: tuple[Call, ...]
    wake_at: float | None


def next_calls(
    queues: Mapping[TaskArn, Sequence[Waiting]],
    now: float,
    busy: AbstractSet[TaskArn],
    held: Mapping[TaskArn, float],
    paused_until: float = -math.inf,
) -> Plan:
    """Say which calls may leave. *queues* hold each task's unsettled rows in order.

    *busy* are the tasks with a call in flight. *held* tells until when a task's reports must wait, *paused_until*
    until when all must.
    """
    free = CALLS_AT_ONCE - len(busy)
    if free <= 0:
        return Plan((), None)  # an answer comes first, whatever else is due
    if paused_until > now:
        return Plan((), paused_until if any(task not in busy for task in queues) else None)
    calls: list[Call] = []
    later: list[float] = []
    waiting = (queue for task, queue in queues.items() if queue and task not in busy)
    for queue in sorted(waiting, key=lambda queue: queue[0].row.number):
        head = _head(queue)
        task = head[0].row.report.subject
        due = max(_due(head), held.get(task, now))
        if due > now:
            later.append(due)
        elif len(calls) < free:
            calls.append(_call(head))
    return Plan(tuple(calls), min(later, default=None))


def merged(reports: Sequence[TaskReport]) -> TaskReport:
    """One report that says what *reports*, of one task and in order, say: the state is that of the last.

    A container that went through two states is named twice, in order; only an exact repetition is left out.
    """
    last = reports[-1]
    return replace(
        last,
        containers=tuple(_without_repetitions(reports)),
        pull_started_at=next((r.pull_started_at for r in reversed(reports) if r.pull_started_at), None),
        pull_stopped_at=next((r.pull_stopped_at for r in reversed(reports) if r.pull_stopped_at), None),
        execution_stopped_at=next((r.execution_stopped_at for r in reversed(reports) if r.execution_stopped_at), None),
    )


def _without_repetitions(reports: Sequence[TaskReport]) -> Iterator[ContainerReport]:
    latest: dict[str, ContainerReport] = {}
    for report in reports:
        for container in report.containers:
            if latest.get(container.name) != container:
                latest[container.name] = container
                yield container


def _head(queue: Sequence[Waiting]) -> Sequence[Waiting]:
    """The rows of a task's next call."""
    call = queue[0].row.call
    if call:
        return tuple(takewhile(lambda waiting: waiting.row.call == call, queue))
    for place, waiting in enumerate(queue[:ROWS_PER_CALL]):
        if waiting.row.report.attachment:
            return queue[: place or 1]
        if waiting.row.report.moved:
            return queue[: place + 1]
    return queue[:ROWS_PER_CALL]


def _due(head: Sequence[Waiting]) -> float:
    first, last = head[0], head[-1]
    complete = first.row.call or last.row.report.moved or len(head) == ROWS_PER_CALL
    return first.since if complete else first.since + RIDE_WITHIN


def _call(head: Sequence[Waiting]) -> Call:
    last = head[-1].row
    return Call(
        number=last.call or last.number,
        rows=tuple(waiting.row.number for waiting in head),
        report=merged([waiting.row.report for waiting in head]),
        frozen=last.call != 0 or (len(head) == 1 and last.report.moved),
    )
