"""The control plane's engine: `decide` alone changes what is known, and touches nothing else.

An event that breaks a rule of the API, or a bug of ours, leaves the world as it was. The caller commits the changes of
a decision before anybody hears of it, and gives them back with `undo` if the disk refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from agent.controlplane import arns
from agent.controlplane.call import Call
from agent.controlplane.delivery import RUN, STOP, Delivery, due, manifest, over
from agent.controlplane.draw import Draw
from agent.controlplane.events import (
    Acknowledged,
    AgentConnected,
    AgentLost,
    AttachmentWanted,
    Called,
    DeliveriesAsked,
    DeliveryBroke,
    Event,
    ManifestAsked,
    MinutePassed,
    News,
    PlaneDecision,
    PlaneStarted,
    Refused,
    StopsAsked,
    TelemetryAsked,
    TelemetryTold,
    UpdateWanted,
)
from agent.controlplane.faults import Fault
from agent.controlplane.figures import LatestFigures
from agent.controlplane.health import with_checks, with_health
from agent.controlplane.honoured import refuse_the_rest
from agent.controlplane.notices import Notice, acknowledged, due_notices, forget, refused
from agent.controlplane.operations import OPERATIONS
from agent.controlplane.records import Attachment, ContainerInstance, JsonObject, PlaneTask, Record, RunToken
from agent.controlplane.reports import NOT_TOLD, acknowledged_stop, asked_to_stop
from agent.controlplane.rights import check_resources, denied, is_limited, owns
from agent.controlplane.telemetry import ChecksTold, FiguresTold, HealthTold
from agent.controlplane.wishes import updated, want_attachment, want_update
from agent.controlplane.world import Change, World

INACTIVE = "InactiveInstanceException"
UNKNOWN = "InvalidInstanceException"
TASK_KEPT = timedelta(hours=1)
TOKEN_KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Owed:
    """What an agent is owed, and its tasks whose roles it was told of."""

    deliveries: tuple[Delivery, ...] = ()
    notices: tuple[Notice, ...] = ()
    holders: tuple[PlaneTask, ...] = ()


class Plane:
    """One region of a control plane."""

    def __init__(self, region: str, account: str, records: Iterable[Record] = ()) -> None:
        self._world = World(region, account, records)
        self._figures = LatestFigures()

    @property
    def world(self) -> World:
        """What is known. For reading."""
        return self._world

    @property
    def figures(self) -> LatestFigures:
        """What containers used lately. For reading."""
        return self._figures

    def decide(self, event: Event) -> PlaneDecision:
        """Say what *event* makes of the world. A Fault is part of the decision; any other error is a bug."""
        answer: JsonObject | None = None
        fault: Fault | None = None
        owed = self._owed(event) if isinstance(event, DeliveriesAsked) else Owed()
        listed = manifest(self._world, event.instance, event.at) if isinstance(event, ManifestAsked) else None
        ended = over(self._world, event.instance, event.tasks) if isinstance(event, StopsAsked) else ()
        try:
            answer = self._apply(event)
        except BaseException as error:
            self.undo(self._world.collect())
            if not isinstance(error, Fault):
                raise
            fault = error
        changes = self._world.collect()
        return PlaneDecision(
            changes=changes,
            answer=answer,
            fault=fault,
            deliveries=owed.deliveries,
            notices=owed.notices,
            holders=owed.holders,
            touched=_touched(changes),
            gone=_gone(changes),
            manifest=listed,
            over=ended,
            strangers=_strangers(self._world, event) if isinstance(event, TelemetryTold) and fault is None else 0,
        )

    def undo(self, changes: Iterable[Change]) -> None:
        """Take *changes* back: their commit failed."""
        self._world.undo(changes)

    def _apply(self, event: Event) -> JsonObject | None:
        match event:
            case Called():
                return self._call(event)
            case AttachmentWanted():
                want_attachment(self._world, event)
            case UpdateWanted():
                want_update(self._world, event)
            case MinutePassed():
                self._forget(event.at)
            case PlaneStarted():
                self._begin(event.at)
            case DeliveriesAsked() | ManifestAsked() | StopsAsked():
                pass
            case _:
                self._take_news(event)
        return None

    def _take_news(self, event: News) -> None:
        match event:
            case AgentConnected():
                self._connect(event)
            case AgentLost():
                self._lose(event)
            case Acknowledged():
                self._acknowledge(event)
            case Refused():
                self._take_refusal(event)
            case TelemetryAsked():
                self._admitted(event.instance, event.key, "StartTelemetrySession")
            case TelemetryTold():
                self._take_telemetry(event)
            case DeliveryBroke():
                self._give_up(event)
            case _:
                assert_never(event)

    def _call(self, event: Called) -> JsonObject:
        operation = OPERATIONS[event.action]
        refuse_the_rest(event.request, operation.honoured, f"in {event.action}")
        call = Call(self._world, event.request, event.at, Draw(event.draw), event.endpoint, event.key)
        check_resources(call, event.action)
        return operation.perform(call)

    def _owed(self, event: DeliveriesAsked) -> "Owed":
        tasks = self._world.tasks_on(event.instance)
        return Owed(
            due(self._world, event.instance, again=event.again),
            due_notices(self._world, event.instance, event.at, again=event.again),
            tuple(task for task in tasks if task.run_acked),
        )

    def _admitted(self, arn: str, key: str, action: str) -> ContainerInstance:
        """The instance whose session is asked for. Raises Fault where that must not be opened."""
        instance = self._world.instances.get(arn)
        if instance is None:
            raise Fault(UNKNOWN, "The container instance is not registered here.")
        if not owns(instance, key):
            raise denied(action, instance.arn, key)
        if instance.status == "INACTIVE":
            raise Fault(INACTIVE, "The container instance is deregistered.")
        return instance

    def _connect(self, event: AgentConnected) -> None:
        instance = self._admitted(event.instance, event.key, "Poll")
        was_away = not instance.connection
        fresh = replace(
            instance,
            connection=event.connection,
            agent_version=event.agent_version,
            agent_hash=event.agent_hash,
            docker_version=event.docker_version,
            update=updated(instance, event.agent_version, event.agent_hash),
            agent_key=instance.agent_key or (event.key if is_limited(event.key) else ""),
        )
        moved = replace(fresh, connection=instance.connection) != instance or was_away
        self._world.put(replace(fresh, version=instance.version + moved))
        if was_away:
            self._set_connectivity(instance, "CONNECTED", event.at)

    def _lose(self, event: AgentLost) -> None:
        instance = self._world.instances.get(event.instance)
        if instance is not None and instance.connection == event.connection:
            self._disconnect(instance, event.at)

    def _disconnect(self, instance: ContainerInstance, at: datetime) -> None:
        self._world.put(replace(instance, connection="", version=instance.version + 1))
        self._set_connectivity(instance, "DISCONNECTED", at)

    def _set_connectivity(self, instance: ContainerInstance, word: str, at: datetime) -> None:
        for task in self._world.tasks_on(instance.arn):
            if task.connectivity != word:
                since = at if word == "CONNECTED" else task.connectivity_at
                changed = replace(task, connectivity=word, connectivity_at=since, version=task.version + 1)
                self._world.put(changed)

    def _acknowledge(self, event: Acknowledged) -> None:
        task_id, _, kind = event.message_id.rpartition("-")
        home = self._world.instances.get(event.instance)
        if home is None:
            return
        acknowledged(self._world, home, event.message_id)
        task = self._world.tasks.get(arns.make(self._world.region, self._world.account, "task", home.cluster, task_id))
        if task is None or task.instance != home.arn or task.stopped:
            return
        if kind == RUN:
            self._world.put(replace(task, run_acked=True))
        elif kind == STOP and task.stop_seq:
            self._world.put(acknowledged_stop(task))

    def _take_refusal(self, event: Refused) -> None:
        home = self._world.instances.get(event.instance)
        if home is not None:
            refused(self._world, home, event.message_id, event.reason)

    def _take_telemetry(self, event: TelemetryTold) -> None:
        """Take what an agent tells of its own host and of the tasks there; all else is passed over."""
        home = self._admitted(event.instance, event.key, "StartTelemetrySession")
        if isinstance(event.told, ChecksTold):
            self._world.put(with_checks(home, event.told.checks))
            return
        for task in self._world.tasks_on(home.arn):
            match event.told:
                case HealthTold(tasks) if task.arn in tasks:
                    self._world.put(with_health(task, tasks[task.arn]))
                case FiguresTold(figures) if task.arn in figures:
                    self._figures.take(task, figures[task.arn], event.at)

    def _give_up(self, event: DeliveryBroke) -> None:
        """Stop what cannot be started: its agent, which may know it from before, is told no more than that."""
        task = self._world.tasks.get(event.task)
        if task is not None and task.desired_status != "STOPPED":
            seq = self._world.next_seq(event.at)
            self._world.put(asked_to_stop(task, seq, "TaskFailedToStart", NOT_TOLD, event.at))

    def _begin(self, at: datetime) -> None:
        for instance in list(self._world.instances.values()):
            if instance.connection:
                self._disconnect(instance, at)

    def _forget(self, at: datetime) -> None:
        """Stopped tasks are kept for an hour; a client token until its last task is gone, and at most a day."""
        for token in list(self._world.tokens.values()):
            if self._is_over(token, at):
                self._world.remove(token)
        for task in list(self._world.tasks.values()):
            if _is_old(task, at):
                self._world.remove(task)
        self._figures.keep(self._world.tasks)
        forget(self._world, at, TASK_KEPT)

    def _is_over(self, token: RunToken, at: datetime) -> bool:
        if at - token.at >= TOKEN_KEPT:
            return True
        tasks = [self._world.tasks.get(arn) for arn in token.tasks]
        return at - token.at > TASK_KEPT and all(task is None or _is_old(task, at) for task in tasks)


def _is_old(task: PlaneTask, at: datetime) -> bool:
    return task.stopped_at is not None and at - task.stopped_at > TASK_KEPT


def _strangers(world: World, event: TelemetryTold) -> int:
    """How many tasks an agent told of that are not on its host, nor ever were as far as anybody remembers."""
    told = () if isinstance(event.told, ChecksTold) else event.told.tasks
    found = (world.tasks.get(arn) for arn in told)
    return sum(task is None or task.instance != event.instance for task in found)


def _touched(changes: Iterable[Change]) -> frozenset[str]:
    """The instances whose agents are owed a message now that they were not owed before."""
    touched = set()
    for change in changes:
        before, after = change.before, change.after
        if isinstance(after, Attachment) and before is None:
            touched.add(after.instance)
        elif isinstance(after, ContainerInstance) and isinstance(before, ContainerInstance):
            touched |= {after.arn} if after.update != before.update else set()
        elif isinstance(after, PlaneTask):
            assert before is None or isinstance(before, PlaneTask)
            if before is None or before.stop_seq != after.stop_seq:
                touched.add(after.instance)
    return frozenset(touched)


def _gone(changes: Iterable[Change]) -> frozenset[str]:
    """The instances that were let go. Telemetry may come from one that has no session of ACS."""
    return frozenset(
        change.after.arn
        for change in changes
        if isinstance(change.after, ContainerInstance)
        and isinstance(change.before, ContainerInstance)
        and change.before.status != change.after.status == "INACTIVE"
    )
