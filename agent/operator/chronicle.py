"""The story of each task, as far as this process has lived it: what was heard, what it came to, what was told.

Kept in memory only. Reasons in it are those of events: free of values, and whole.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from agent.model.acts import Act, CancelPull, ContainerAct, ListContainers, PullImage, ResourceAct
from agent.model.decision import Decision, Moved
from agent.model.events import ActBroke, ActFailed, Event, OperatorStop, ReportsSettled, TaskBroke
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.task import ImageSource, Task

MOST_LINES = 200
"""Lines kept of a task; the oldest go first. A container that restarts for ever would fill any memory."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `container` is empty where it concerns the whole task."""

    at: datetime
    text: str
    container: str = ""
    failure: str = ""
    """Why an act did not do what it promised, where the line tells of one."""


class Chronicle:
    """Owns the stories."""

    def __init__(self) -> None:
        self._lines: dict[TaskArn, deque[Line]] = {}

    def note(self, event: Event, decision: Decision) -> None:
        """Write what *event* came to."""
        for arn, line in _lines(event, decision):
            self._lines.setdefault(arn, deque(maxlen=MOST_LINES)).append(line)
        for arn in decision.forgotten:
            self._lines.pop(arn, None)

    def of(self, arn: TaskArn) -> tuple[Line, ...]:
        """The story of a task, oldest line first."""
        return tuple(self._lines.get(arn, ()))


def _lines(event: Event, decision: Decision) -> Iterator[tuple[TaskArn, Line]]:
    yield from _heard(event, decision)
    for move in decision.moves:
        yield move.task, Line(move.at, _moved(move, event), move.container)
    for report in decision.reports:
        if not report.attachment:  # which may belong to no task, or to one that never comes
            yield report.task, Line(report.at, _told(report))
    for act in decision.acts:
        yield from _of_act(act, decision.tasks, event.at, _name(act))


def _heard(event: Event, decision: Decision) -> Iterator[tuple[TaskArn, Line]]:
    """What an event says that no move of a task repeats."""
    match event:
        case ActFailed(act=act, fault=fault, reason=reason):
            yield from _of_act(act, decision.tasks, event.at, f"{_name(act)} failed ({fault}): {reason}", reason)
        case ActBroke(act=act, error=error):
            yield from _of_act(act, decision.tasks, event.at, f"{_name(act)} met a bug: {error}", error)
        case TaskBroke(task=arn, where=where):
            yield arn, Line(event.at, f"a decision met a bug: {where}", failure=where)
        case OperatorStop(task=arn, force=force, operator=operator) if decision.tasks:
            yield arn, Line(event.at, f"{operator} asked for its end{', by force' if force else ''}")
        case ReportsSettled(tasks=tasks):
            for arn in sorted(tasks):
                yield arn, Line(event.at, "ECS has acknowledged everything that it was told")
        case _:
            return


def _of_act(
    act: Act, touched: Iterable[Task], at: datetime, text: str, failure: str = ""
) -> Iterator[tuple[TaskArn, Line]]:
    for arn, container in _meant(act, touched):
        yield arn, Line(at, text, container, failure)


def _meant(act: Act, touched: Iterable[Task]) -> Iterator[tuple[TaskArn, str]]:
    match act:
        case ContainerAct():
            yield act.task, act.container
        case ResourceAct():
            yield act.task, ""
        case PullImage(source=source) | CancelPull(source=source):
            yield from _waiting(source, touched)
        case ListContainers():
            return


def _waiting(source: ImageSource, touched: Iterable[Task]) -> Iterator[tuple[TaskArn, str]]:
    """A pull names no task: it concerns the containers of its image among the tasks that it *touched*."""
    for task in touched:
        for spec in task.spec.containers:
            if task.spec.source(spec) == source:
                yield task.arn, spec.name


def _name(act: Act) -> str:
    name = type(act).__name__
    match act:
        case PullImage() | CancelPull():
            return f"{name} {act.source.image}"
        case ResourceAct():
            return " ".join(one for one in (name, act.resource) if one)
        case _:
            return name


def _moved(move: Moved, event: Event) -> str:
    went = f"{move.before.name} -> {move.now.name}" if move.before is not move.now else move.now.name
    why = f" ({move.reason})" if move.reason else ""
    return f"{went}{why}, heard by {type(event).__name__} from {move.cause or 'ourselves'}"


def _told(report: TaskReport) -> str:
    parts = [f"task {report.status.told}"] if report.moved else []
    parts += [f"{one.name} {one.status.told}" for one in report.containers]
    return f"to be told to ECS: {', '.join(parts)}"
