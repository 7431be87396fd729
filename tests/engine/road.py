"""The one road: decide, commit, perform; and what there is after a crash.

A decision is committed before its acts leave, outcomes come back as events, and after a crash there is nothing but the
rows that the disk had: while that takes nothing, all goes on in memory, and a crash takes every row back together.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from agent.engine import invariants
from agent.engine.engine import Engine
from agent.model.acts import (
    Act,
    CancelPull,
    ContainerAct,
    CreateCgroup,
    CreateContainer,
    CreateVolume,
    KillContainer,
    ListContainers,
    PullImage,
    RemoveContainer,
    ResourceAct,
    StartContainer,
    StopContainer,
)
from agent.model.attachments import Attachment
from agent.model.decision import Decision, ManifestTaken
from agent.model.errors import TryAgain
from agent.model.events import (
    ClockStepped,
    DeadlinePassed,
    DockerLost,
    Event,
    Listed,
    ManifestHeard,
    Reclaim,
)
from agent.model.names import DockerId, Step, TaskArn
from agent.model.reports import TaskReport
from agent.model.rules import Rules
from agent.model.seen import Seen, Summary
from agent.model.status import Doing, ResourceKind, Status
from agent.model.task import Container, Task, TaskSpec, Tombstone
from tests.engine.sim_docker import SimDocker
from tests.engine.sim_host import SimHost
from tests.engine.tape import Tape

T0 = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
RULES = Rules(
    stop_timeout=timedelta(seconds=5),
    cleanup_wait=timedelta(hours=1),
    first_port=40000,
    last_port=40011,
    memory=100,
    agent="me",
    instance="here",
)
HOUR = timedelta(hours=1)
LONG = timedelta(minutes=5)
"""Longer than the deadline of any act, and than the time between two listings."""


@dataclass(slots=True)
class Flight:
    """An act on its way: it takes effect, then Docker is looked at, then the answer arrives."""

    act: Act
    done: bool = False
    made: DockerId | None = None
    answer: Event | None = None
    cancelled: bool = False
    set_by: timedelta = timedelta()
    """How far the clock had been set when it left."""


@dataclass(slots=True)
class Listing:
    """A listing on its way: asked for, taken, looked into, delivered."""

    asked: Step
    shown: tuple[Summary, ...] | None = None
    seen: tuple[Seen, ...] | None = None
    gone: frozenset[DockerId] = frozenset()


@dataclass(slots=True)
class Disk:
    """What is committed."""

    tasks: dict[TaskArn, Task] = field(default_factory=dict)
    tombstones: dict[TaskArn, Tombstone] = field(default_factory=dict)
    outbox: list[TaskReport] = field(default_factory=list)
    manifest: int = 0
    attachments: dict[str, Attachment] = field(default_factory=dict)

    def commit(self, decision: Decision) -> None:
        self.tasks |= {task.arn: task for task in decision.tasks}
        self.tombstones |= {stone.arn: stone for stone in decision.tombstones}
        for arn in decision.forgotten:
            self.tasks.pop(arn, None)
        for arn in decision.buried:
            self.tombstones.pop(arn, None)
        for name in decision.detached:
            self.attachments.pop(name, None)
        self.attachments |= {one.arn: one for one in decision.attachments}
        self.outbox += decision.reports
        self.manifest = max([self.manifest, *(taken.number for taken in decision.manifests)])


class Road:
    """An agent on the one road, with Docker and a journal beside it."""

    def __init__(self, tape: Tape, specs: tuple[TaskSpec, ...], rules: Rules = RULES) -> None:
        self.tape = tape
        self.rules = rules
        self.specs = {spec.arn: spec for spec in specs}
        self.docker = SimDocker(T0)
        self.host = SimHost(self.docker)
        self.disk = Disk()
        self.engine = Engine(rules)
        self.kept = Decision()
        self.behind = Decision()
        self.held: list[Act] = []
        self.not_begun_on_disk: set[TaskArn] = set()
        """Tasks that have run, or ended, of which the disk says that they are still to begin."""
        self.unwritten: set[TaskArn] = set()
        """Tasks that began while the disk was full, and of which after a crash only their containers told."""
        self.let_in_unwritten: set[TaskArn] = set()
        """Tasks that the disk knows, but not that they were let in; after a crash their containers alone say so."""
        self.unseen: set[TaskArn] = set()
        """Tasks that were called off while nobody knew them, for no look at their containers had succeeded yet."""
        self.told_on_disk: Counter[tuple[TaskArn, str, Status]] = Counter()
        self.attached: set[str] = set()
        """Attachments that ECS was told of, and may be told of again only once they are announced anew."""
        self.attached_on_disk: set[str] = set()
        self.flights: list[Flight] = []
        self.looks: list[Seen] = []
        self.listing: Listing | None = None
        self.is_up = True
        self.disk_is_full = False
        self.is_patient = False
        self.listing_owed: Step | None = Step(0)
        self.broken: set[TaskArn] = set()
        self.asked: set[TaskArn] = set()
        self.stopping: set[TaskArn] = set()
        self.told: Counter[tuple[TaskArn, str, Status]] = Counter()
        self.faults: Counter[TaskArn] = Counter()
        self.acts: Counter[TaskArn] = Counter()
        self.history: list[Event | str] = []
        self.lists: list[ManifestHeard] = []
        self.lists_made = 0
        self.verifications: list[tuple[str, tuple[TaskArn, ...]]] = []

    def hear(self, event: Event) -> None:
        """Decide, commit, perform; with a crash between them when the tape says so."""
        self.history.append(event)
        before = self.engine.snapshot()
        deadline = self.engine.next_deadline()
        decision = self.engine.decide(event)
        invariants.check(before, self.engine.snapshot(), decision)
        if isinstance(event, DeadlinePassed) and deadline is not None and deadline <= event.at:
            later = self.engine.next_deadline()
            assert later is None or later > event.at, f"{later} was due, and is still"
        if isinstance(event, ClockStepped):
            check_only_dates(event, decision, deadline, self.engine.next_deadline())
        self.check_is_released(event, decision)
        for row in decision.tasks:
            check_may_be_removed(before.tasks.get(row.arn), row, event)
        self.kept = self.kept.then(decision)
        crash = self.tape.below(60)
        if crash == 59:
            self.crash("after the decision")
            return
        self.commit(crash_after=crash == 58)

    def check_is_released(self, event: Event, decision: Decision) -> None:
        """After a start, or a loss of Docker, nothing is decided for Docker before a listing asked for since then."""
        if isinstance(event, DockerLost):
            self.listing_owed = self.engine.step
        if isinstance(event, Listed) and self.listing_owed is not None and event.asked >= self.listing_owed:
            self.listing_owed = None
        acts = [act for act in decision.acts if not isinstance(act, CancelPull | ListContainers)]
        assert self.listing_owed is None or not acts, f"{acts} before a listing"

    def commit(self, *, crash_after: bool = False) -> None:
        acts, decision, self.kept = self.kept.acts, self.kept, Decision()
        self.attached -= set(decision.detached)
        self.behind = self.behind.then(replace(decision, acts=()))
        of_tasks = (move for move in decision.moves if not move.container)
        self.not_begun_on_disk |= {move.task for move in of_tasks if move.before < Status.RUNNING <= move.now}
        for report in decision.reports:
            self.note(report)
        if not self.disk_is_full:
            self.catch_up()
        for taken in decision.manifests:
            self.verify_stops(taken)
        if crash_after:
            self.send(acts[: self.tape.below(len(acts) + 1)])
            self.crash("after the commit")
            return
        self.send(acts)

    def catch_up(self) -> None:
        """The disk takes what only memory had: from now on a crash cannot undo it."""
        self.disk.commit(self.behind)
        self.behind, self.told_on_disk = Decision(), self.told.copy()
        self.attached_on_disk = set(self.attached)
        self.not_begun_on_disk.clear()
        held, self.held = tuple(self.held), []
        self.send(held)

    def is_young(self, arn: TaskArn) -> bool:
        task = self.engine.tasks.get(arn)
        return task is not None and task.known < Status.RUNNING

    def is_admitted(self, arn: TaskArn) -> bool:
        task = self.engine.tasks.get(arn)
        return task is not None and task.admitted is not None

    def note(self, report: TaskReport) -> None:
        """Each state is told once, and never after a later one."""
        if report.attachment:
            assert report.attachment not in self.attached, f"{report.attachment} is told of twice"
            self.attached.add(report.attachment)
            return
        keys = [(report.task, "", report.status)] if report.moved else []
        keys += [(report.task, part.name, part.status) for part in report.containers]
        for arn, name, status in keys:
            assert not self.told[arn, name, status], f"{status.name} of {arn} {name} told twice"
            assert not self.told[arn, name, Status.STOPPED], f"{status.name} of {arn} {name} told after STOPPED"
            self.told[arn, name, status] += 1

    def verify_stops(self, taken: ManifestTaken) -> None:
        """ECS looks again at the tasks that its list did not have: it wants those stopped that it gave up."""
        over = tuple(arn for arn in taken.candidates if arn in self.stopping or arn not in self.asked)
        self.verifications.append((taken.message_id, over))

    def send(self, acts: tuple[Act, ...]) -> None:
        for act in acts:
            if self.disk_is_full and self.waits_for_the_disk(act):
                self.held.append(act)
                continue
            self.history.append(f"-> {act}")
            if isinstance(act, CancelPull):
                for flight in self.flights:
                    flight.cancelled |= isinstance(flight.act, PullImage) and flight.act.source == act.source
            elif not isinstance(act, ListContainers):
                self.check_is_alone(act)
                self.flights.append(Flight(act, set_by=self.docker.set_by))
            if isinstance(act, CreateContainer):
                self.host.check_needs(act)
            if isinstance(act, StartContainer) and has_cgroup(self.engine.tasks.get(act.task)):
                self.host.check_limits(act)
            if isinstance(act, ContainerAct | ResourceAct):
                self.acts[act.task] += 1

    def waits_for_the_disk(self, act: Act) -> bool:
        """Would a crash, which takes rows back, leave something that nobody finds again, or have a task run twice?"""
        if isinstance(act, CreateVolume | CreateCgroup):
            return self.is_young(act.task)
        return isinstance(act, RemoveContainer) and act.task in self.not_begun_on_disk

    def check_is_alone(self, act: Act) -> None:
        for other in (flight.act for flight in self.flights):
            if isinstance(act, PullImage):
                assert not (isinstance(other, PullImage) and other.source == act.source), f"two pulls of {act.source}"
            elif isinstance(other, ResourceAct) and isinstance(act, ResourceAct):
                same = (other.task, other.kind, other.resource) == (act.task, act.kind, act.resource)
                assert not same, f"{act} while {other} is in flight"
            elif isinstance(other, ContainerAct) and isinstance(act, ContainerAct):
                same = (other.task, other.container) == (act.task, act.container)
                pair = type(other), type(act)
                may = KillContainer in pair and pair[0] is not pair[1]
                may |= set(pair) == {StartContainer, StopContainer}  # in either order: a full disk holds the start
                assert may or not same, f"{act} while {other} is in flight"

    def crash(self, where: str) -> None:
        """The agent dies and starts again from what is committed."""
        self.history.append(f"CRASH {where}")
        for flight in self.flights:
            self.orphan(flight)
        self.forget_runs()
        self.flights, self.looks, self.docker.events = [], [], []
        self.listing, self.kept, self.behind = None, Decision(), Decision()
        self.told, self.held = self.told_on_disk.copy(), []
        self.attached = set(self.attached_on_disk)
        self.not_begun_on_disk.clear()
        self.disk_is_full = False
        self.is_up = True
        self.listing_owed = Step(0)
        self.host.crash()
        disk = self.disk
        self.engine = Engine(
            self.rules, disk.tasks.values(), disk.tombstones.values(), disk.manifest, disk.attachments.values()
        )

    def orphan(self, flight: Flight) -> None:
        """The client of a request died: Docker may finish it later, or never."""
        if isinstance(flight.act, ContainerAct) and not flight.done and not self.tape.rarely(3):
            self.docker.late.append(flight.act)
        if isinstance(flight.act, ResourceAct) and not flight.done and not self.tape.rarely(3):
            with suppress(TryAgain):
                self.host.effect(flight.act)

    def forget_runs(self) -> None:
        """A full disk took no note of the last runs of a policy: the next one has the number of the first of them.

        What is under way of them, or of tasks that the disk does not know, happens before the new agent looks, or not.
        """
        known = {(arn, c.name): c for arn, task in self.disk.tasks.items() for c in task.containers}
        for late in [act for act in self.docker.late if not _is_written(act, known.get((act.task, act.container)))]:
            self.docker.late.remove(late)
            self.docker.take_late(late)
        there = {(TaskArn(one.labels.task), one.labels.container) for one in self.docker.containers.values()}
        for arn, name, run in list(self.docker.started):
            row = known.get((TaskArn(arn), name))
            is_forgotten = row is not None and (
                run > row.run or (row.known < Status.RUNNING and (arn, name) not in there)
            )
            if is_forgotten or row is None:
                del self.docker.started[arn, name, run]
        shown = {one.labels.task for one in self.docker.containers.values()}
        self.unwritten |= {arn for arn in self.engine.tasks if arn not in self.disk.tasks} & shown
        waiting = {arn for arn, row in self.disk.tasks.items() if row.admitted is None}
        self.let_in_unwritten |= {arn for arn in waiting & shown if self.is_admitted(arn)}

    @property
    def is_strained(self) -> bool:
        """Are new tasks refused, or will they be once a listing has been heard?"""
        return bool(self.engine._world.strain)

    @property
    def now(self) -> datetime:
        self.docker.tick(timedelta(milliseconds=1))
        return self.docker.now


def _is_written(act: ContainerAct, row: Container | None) -> bool:
    """Does the disk know that *act* is under way?"""
    if row is None or act.run > row.run:
        return False
    return not isinstance(act, StartContainer) or row.is_doing(Doing.START)


def check_only_dates(event: ClockStepped, decision: Decision, before: datetime | None, after: datetime | None) -> None:
    """A clock that is set changes when something is due, and by nothing else than the step."""
    others = (decision.acts, decision.reports, decision.moves, decision.forgotten, decision.buried)
    assert not any(others), others
    assert after == (before + event.by if before is not None else None)


def check_may_be_removed(old: Task | None, new: Task, event: Event) -> None:
    """What is left of a task goes when ECS has taken its end: at its time, or earlier where room is needed.

    Where room is needed it goes without that too, but not before its time.
    """
    if old is None or old.remove_at is None or new.remove_at is not None:
        return
    is_over = old.remove_at <= event.at
    assert new.settled or is_over, f"{new.arn} is cleared away before its time, and ECS does not know its end"
    assert isinstance(event, Reclaim) or (new.settled and is_over), f"{new.arn} is cleared away by {type(event)}"


def has_cgroup(task: Task | None) -> bool:
    """Was the task given a cgroup of its own? One that was rebuilt from labels has none."""
    return task is not None and any(one.kind is ResourceKind.CGROUP for one in task.resources)
