"""The only place where a task's state changes.

`decide` is pure: no clock, no chance, no I/O; what it needs to know of them is in the event. It works on a draft and
swaps it in last, so that an exception leaves the engine as it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

from agent.engine import (
    admission,
    attachments,
    broken,
    clock_steps,
    deadlines,
    facts,
    lifecycle,
    listing,
    manifest,
    operator_stop,
    ordering,
    outcomes,
    pressure,
    pulls,
    reports,
    resources,
    takeover,
)
from agent.engine.draft import Draft, TaskIsBroken
from agent.engine.world import Row, Snapshot, World
from agent.model.acts import ContainerAct, PullImage, ResourceAct
from agent.model.attachments import Attachment
from agent.model.decision import Decision
from agent.model.events import (
    ActBroke,
    ActFailed,
    AttachmentAnnounced,
    AttachmentsFound,
    ClockStepped,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    CredentialsArrived,
    DeadlinePassed,
    DockerBack,
    DockerLost,
    EndedWell,
    Event,
    GpusFound,
    ImagePulled,
    ImageResolved,
    Listed,
    ManifestHeard,
    Observed,
    OperatorStop,
    Reclaim,
    ReportsSettled,
    ResourceCleared,
    ResourceReady,
    StopsVerified,
    Strained,
    TaskAssigned,
    TaskBroke,
    TaskRefused,
    TasksTaken,
    TaskStopRequested,
)
from agent.model.names import DockerId, Step, TaskArn
from agent.model.reports import TaskReport
from agent.model.rules import Rules
from agent.model.seen import Summary
from agent.model.status import Status
from agent.model.task import Container, Task, Tombstone


class Engine:
    """Decides what becomes of tasks. Starts from the rows of the journal; every act in them has an unknown outcome."""

    def __init__(
        self,
        rules: Rules,
        tasks: Iterable[Task] = (),
        tombstones: Iterable[Tombstone] = (),
        manifest: int = 0,
        attached: Iterable[Attachment] = (),
    ) -> None:
        self._world = World(rules, manifest=manifest, attachments={one.arn: one for one in attached})
        for task in tasks:
            containers = tuple(replace(c, lost=c.doing) for c in task.containers)
            self._world.put(Row.of(replace(resources.after_start(task), containers=containers)))
        self._world.tombstones = {stone.arn: stone for stone in tombstones}

    @property
    def step(self) -> Step:
        """How many events have been decided. A listing carries the step at which it was asked for."""
        return self._world.step

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        """The rows as they are now; not to be changed."""
        return MappingProxyType(self._world.tasks)

    @property
    def attachments(self) -> Mapping[str, Attachment]:
        """What is on its way to the host, or has come, by its ARN; not to be changed."""
        return MappingProxyType(self._world.attachments)

    def snapshot(self) -> Snapshot:
        """What is known now, for comparison with later."""
        world = self._world
        strain = world.strain if world.listed else ""
        attached = dict(world.attachments)
        return Snapshot(dict(world.tasks), dict(world.tombstones), dict(world.pulls), world.manifest, strain, attached)

    def next_deadline(self) -> datetime | None:
        """When `DeadlinePassed` is due; None while nothing is. While acts are held, attachments alone have an end."""
        return deadlines.next_of(self._world)

    def to_inspect(self, listed: Iterable[Summary]) -> frozenset[DockerId]:
        """Which containers must be looked at to make a `Listed` of this listing."""
        return listing.to_inspect(self._world, listed)

    def decide(self, event: Event) -> Decision:
        """Say what *event* makes of the tasks it concerns.

        Raises TaskIsBroken if a bug met the decision about one task, and anything else for a bug that concerns none;
        either way nothing has changed. `TaskBroke` is then to be decided, and the event after it once more: it may
        concern others too. No task breaks more than twice, and `TaskBroke` itself never raises.
        """
        draft = Draft(self._world, event.at, event.cause)
        try:
            self._drive(draft, self._hear(draft, event))
            while let_in := admission.admit(draft):
                self._drive(draft, let_in)
            return draft.swap_in()
        except Exception:
            if not isinstance(event, TaskBroke):
                raise
            return broken.last_resort(Draft(self._world, event.at, event.cause), event)

    def _drive(self, draft: Draft, touched: set[TaskArn]) -> None:
        for arn in sorted(touched):
            task = draft.task(arn)
            if task is not None and arn not in self._world.abandoned:
                with draft.about(arn):
                    lifecycle.drive(draft, task)
                    deadlines.tidy(draft, arn)

    def _hear(self, draft: Draft, event: Event) -> set[TaskArn]:  # noqa: C901, PLR0911, PLR0912 -- one case an event
        match event:
            case OperatorStop():
                with draft.about(event.task):
                    return operator_stop.hear(draft, event)
            case TaskAssigned() | TaskStopRequested() | TaskRefused():
                with draft.about(event.spec.arn if isinstance(event, TaskAssigned) else event.task):
                    return _hear_ecs(draft, event)
            case ManifestHeard():
                return manifest.hear(draft, event)
            case StopsVerified():
                return manifest.verified(draft, event)
            case ContainerCreated() | ContainerAnswered() | ContainerRemoved() | ActFailed():
                return _hear_outcome(draft, event)
            case ImagePulled():
                return pulls.pulled(draft, event)
            case ImageResolved():
                return pulls.resolved(draft, event)
            case ResourceReady() | ResourceCleared():
                return _hear_resource(draft, event)
            case CredentialsArrived():
                return _hear_credentials(draft, event)
            case Observed():
                return _observe(draft, event)
            case EndedWell():
                return _hear_of_an_end(draft, event)
            case Listed():
                return listing.hear(draft, event)
            case TasksTaken():
                return takeover.hear(draft, event)
            case DeadlinePassed():
                return deadlines.pass_all(draft)
            case ClockStepped():
                return clock_steps.shift_all(draft, event.by)
            case DockerLost():
                draft.hold()
                return set()
            case ActBroke():
                return broken.by_act(draft, event)
            case TaskBroke():
                return broken.by_decision(draft, event.task, event.where)
            case ReportsSettled():
                return _settle(draft, event)
            case DockerBack():
                return set()
            case Strained():
                return pressure.strain(draft, event.reason)
            case GpusFound():
                draft.find_gpus(event.gpus)
                return set()
            case Reclaim():
                return pressure.reclaim(draft, event.most)
            case AttachmentAnnounced():
                attachments.announce(draft, event)
                return set()
            case AttachmentsFound():
                attachments.find(draft, event)
                return set()
            case _:
                assert_never(event)


def _hear_ecs(draft: Draft, event: TaskAssigned | TaskStopRequested | TaskRefused) -> set[TaskArn]:
    match event:
        case TaskAssigned():
            return _assign(draft, event)
        case TaskStopRequested():
            return _ask_to_stop(draft, event)
        case TaskRefused():
            return _refuse(draft, event)


def _assign(draft: Draft, event: TaskAssigned) -> set[TaskArn]:
    arn = event.spec.arn
    known = draft.task(arn)
    if known is not None:
        if known.spec.rebuilt:
            draft.put(ordering.refused(listing.fill_in(known, event.spec, event.draw, draft.rules)))
            return {arn}
        return set()
    if draft.tombstone(arn) is not None or pressure.is_refused(draft, arn):
        return set()
    task = Task(
        spec=event.spec,
        containers=tuple(Container(name=spec.name) for spec in event.spec.containers),
        arrived=event.at,
        draw=event.draw,
        seq=event.seq,
    )
    draft.put(ordering.refused(task))
    draft.moved(arn, "", Status.NONE, Status.NONE, "assigned")
    return {arn}


def _ask_to_stop(draft: Draft, event: TaskStopRequested) -> set[TaskArn]:
    task = draft.task(event.task)
    if task is not None:
        draft.put(replace(task, wanted=Status.STOPPED, seq=max(task.seq, event.seq)))
        return {task.arn}
    if draft.tombstone(event.task) is None and not draft.listed:
        # The journal may have been lost: whether there is such a task here, the first listing says.
        draft.put(replace(listing.found(event.task, event.at, event.at), wanted=Status.STOPPED, seq=event.seq))
        return {event.task}
    if draft.tombstone(event.task) is None:
        draft.put_tombstone(Tombstone(event.task, event.at))
        draft.report(TaskReport(event.task, Status.STOPPED, moved=True, at=event.at))
        draft.moved(event.task, "", Status.NONE, Status.STOPPED, "stop of a task that is unknown here")
    return set()


def _refuse(draft: Draft, event: TaskRefused) -> set[TaskArn]:
    if draft.task(event.task) is None and draft.tombstone(event.task) is None:
        draft.put_tombstone(Tombstone(event.task, event.at, refused=True))
        reason = reports.cut(event.reason)
        draft.report(TaskReport(event.task, Status.STOPPED, moved=True, at=event.at, reason=reason))
        draft.moved(event.task, "", Status.NONE, Status.STOPPED, reason)
    return set()


def _hear_outcome(
    draft: Draft, event: ContainerCreated | ContainerAnswered | ContainerRemoved | ActFailed
) -> set[TaskArn]:
    act = event.act
    if isinstance(act, PullImage) and isinstance(event, ActFailed):
        return pulls.failed(draft, event, act.source)
    if isinstance(act, ResourceAct) and isinstance(event, ActFailed):
        return _hear_resource(draft, event)
    if not isinstance(act, ContainerAct) or act.task in draft.world.abandoned:
        return set()
    with draft.about(act.task):
        match event:
            case ContainerCreated():
                return outcomes.created(draft, event)
            case ContainerAnswered():
                return outcomes.answered(draft, event)
            case ContainerRemoved():
                return outcomes.removed(draft, event)
            case ActFailed():
                return outcomes.failed(draft, event, act)


def _hear_resource(draft: Draft, event: ResourceReady | ResourceCleared | ActFailed) -> set[TaskArn]:
    act = event.act
    if not isinstance(act, ResourceAct) or act.task in draft.world.abandoned:
        return set()
    with draft.about(act.task):
        return resources.failed(draft, event, act) if isinstance(event, ActFailed) else resources.answered(draft, event)


def _hear_credentials(draft: Draft, event: CredentialsArrived) -> set[TaskArn]:
    draft.hear_credentials(event.credentials_id)
    return {
        task.arn
        for task in draft.tasks()
        if event.credentials_id in task.spec.credentials_ids and task.known is not Status.STOPPED
    }


def _observe(draft: Draft, event: Observed) -> set[TaskArn]:
    arn = event.seen.labels.task
    task = draft.task(arn)
    if task is None or arn in draft.world.abandoned:
        return set()  # the next listing decides whether this is a stray or a task to rebuild
    with draft.about(arn):
        draft.put(listing.look(draft, task, event.seen, may_be_late=True))
    return {arn}


def _hear_of_an_end(draft: Draft, event: EndedWell) -> set[TaskArn]:
    task = draft.task(event.task)
    if task is None or event.task in draft.world.abandoned:
        return set()
    with draft.about(event.task):
        for container in task.containers:
            if container.docker_id == event.docker_id and (seen := facts.end_of(task, container, event.ended_at)):
                draft.put(listing.look(draft, task, seen, may_be_late=True))
                return {event.task}
    return set()


def _settle(draft: Draft, event: ReportsSettled) -> set[TaskArn]:
    for arn in event.tasks:
        stone, task = draft.tombstone(arn), draft.task(arn)
        if stone is not None and stone.until is None:
            draft.put_tombstone(replace(stone, until=event.at + clock_steps.TOMBSTONE_KEPT))
        if task is not None and task.told is Status.STOPPED:
            with draft.about(arn):
                draft.put(replace(task, settled=True))
    return set()


__all__ = ["Engine", "TaskIsBroken"]
