"""Counts what happens to tasks, and how long acts take: from what every event came to, and in memory alone.

An act takes from its decision to the event that brings its outcome. Nothing here grows with the number of tasks but
what is in flight.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime

from agent.model.acts import Act, ContainerAct, PullImage, ResourceAct, StartContainer
from agent.model.decision import Decision, Moved
from agent.model.events import (
    ActBroke,
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    CredentialsArrived,
    Event,
    ImagePulled,
    ResourceCleared,
    ResourceReady,
    TaskAssigned,
)
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task

SHORT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds in seconds for what is mostly quick."""
LONG = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0)
"""Bounds in seconds for what may wait for a network or for others."""
MOST_CREDENTIALS = 4096
"""Ids of credentials whose arrival is remembered; the oldest go first."""

Done = Act | ContainerAct | ResourceAct
"""An act, as its outcome names it."""

TIMED = {"create_container": "create", "start_container": "start", "stop_container": "stop"}
"""Acts on containers whose durations are kept, and what those are called."""


class Spread:
    """How long things took: how many up to each of some bounds, and all of it together."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one more. A clock that was set back makes no time negative."""
        taken = max(0.0, seconds)
        self.counts[bisect_left(self.bounds, taken)] += 1
        self.total += taken


def snake(kind: type) -> str:
    """The name of a class as figures are named: ``PullImage`` is ``pull_image``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


class Meter:
    """Hears of each event what it came to. `monotonic` gives seconds on a clock that nobody sets."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begun: dict[Hashable, float] = {}
        self.events: Counter[str] = Counter()
        self.acts: Counter[tuple[str, str]] = Counter()
        """Acts that are over, by name and outcome."""
        self.assigned = 0
        self.task_starts = Spread(LONG)
        """From a task's arrival until it runs."""
        self.task_stops: Counter[str] = Counter()
        """Tasks that stopped, by what they were doing before."""
        self.exits: Counter[str] = Counter()
        self.restarts = 0
        self.reports = 0
        self.pulls = {"registry": Spread(LONG), "cache": Spread(LONG)}
        self.durations = {name: Spread(SHORT) for name in TIMED.values()}
        self.credentials: dict[str, float] = {}
        """When the values behind an id arrived last."""

    def note(self, event: Event, decision: Decision) -> None:
        """Count what *event* came to."""
        self.events[snake(type(event))] += 1
        self._hear(event, decision)
        rows = {task.arn: task for task in decision.tasks} if decision.moves else {}
        for move in decision.moves:
            self._count(move, rows)
        self.reports += len(decision.reports)
        for act in decision.acts:
            self._begin(act)
        if decision.forgotten:
            gone = frozenset(decision.forgotten)
            self._begun = {key: at for key, at in self._begun.items() if _task_of(key) not in gone}

    @property
    def in_flight(self) -> int:
        """How many acts are decided and not answered."""
        return len(self._begun)

    def _begin(self, act: Act) -> None:
        key = _key(act)
        if key is not None:
            self._begun[key] = self._monotonic()
        if isinstance(act, StartContainer) and act.run > 1 and not act.again:
            self.restarts += 1

    def _hear(self, event: Event, decision: Decision) -> None:
        match event:
            case TaskAssigned(spec=spec, at=at):
                self.assigned += any(task.arn == spec.arn and task.arrived == at for task in decision.tasks)
            case CredentialsArrived(credentials_id=one):
                self._arrived(one)
            case ImagePulled(source=source):
                taken = self._end(PullImage, ("pull", source), "done")
                if taken is not None:
                    self.pulls["cache" if event.cause == "cache" else "registry"].add(taken)
            case ContainerCreated(act=act) | ContainerAnswered(act=act) | ContainerRemoved(act=act):
                self._over(act, "done")
            case ResourceReady(act=act) | ResourceCleared(act=act):
                self._over(act, "done")
            case ActFailed(act=act, fault=fault):
                self._over(act, fault.value)
            case ActBroke(act=act):
                self._over(act, "bug")
            case _:
                return

    def _over(self, act: Done, outcome: str) -> None:
        taken = self._end(type(act), _key(act), outcome)
        name = TIMED.get(snake(type(act)))
        if taken is not None and name is not None and outcome == "done":
            self.durations[name].add(taken)

    def _end(self, kind: type[Done], key: Hashable, outcome: str) -> float | None:
        """Count the end of an act; gives the seconds that it took, or None where it was begun before our time."""
        self.acts[snake(kind), outcome] += 1
        began = self._begun.pop(key, None)
        return None if began is None else self._monotonic() - began

    def _arrived(self, credentials_id: str) -> None:
        self.credentials.pop(credentials_id, None)  # to the end of the line
        self.credentials[credentials_id] = self._monotonic()
        if len(self.credentials) > MOST_CREDENTIALS:
            del self.credentials[next(iter(self.credentials))]

    def _count(self, move: Moved, rows: dict[TaskArn, Task]) -> None:
        if move.before is move.now:
            return
        task = rows.get(move.task)
        if move.container:
            if move.now is Status.STOPPED and move.before >= Status.RUNNING and task is not None:
                self.exits[_code(task[move.container].exit_code)] += 1
        elif move.now is Status.STOPPED:
            self.task_stops["running" if move.before is Status.RUNNING else "starting"] += 1
        elif move.now is Status.RUNNING and task is not None:
            self.task_starts.add(_seconds(task.arrived, move.at))


def _key(act: Done) -> Hashable:
    """What an act is found by when its outcome comes; None for those that have none."""
    match act:
        case PullImage(source=source):
            return "pull", source
        case ContainerAct(task=task, container=container, run=run):
            return type(act), task, container, run
        case ResourceAct(task=task, kind=kind, resource=resource):
            return type(act), task, kind, resource
        case _:
            return None


def _task_of(key: Hashable) -> Hashable:
    return key[1] if isinstance(key, tuple) else None


def _code(exit_code: int | None) -> str:
    if exit_code is None:
        return "unknown"
    return "failed" if exit_code else "succeeded"


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
