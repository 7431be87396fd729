"""Frames of metrics and of health: a batch is cut into pages that a server takes ("wire protocol", TCS). Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from agent.model.names import DockerId, TaskArn
from agent.model.status import Health, Status
from agent.model.task import Task
from agent.tcs.ring import Ring
from agent.tcs.sets import metric
from agent.tcs.settings import TcsSettings
from agent.wire import tcs
from agent.wire.tcs_metrics import ContainerMetric, TaskMetric

PAUSE = "~internal~ecs~pause"
"""The container that holds the network of a task: it has no traffic of its own."""
WITH_NETWORK = frozenset({"", "bridge", "awsvpc"})
"""Network modes in which a container's traffic is not the host's."""


@dataclass(frozen=True, slots=True)
class Told:
    """One ring, and how far a frame tells of it."""

    ring: Ring
    number: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is to be told of one task."""

    metric: TaskMetric
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One frame of metrics."""

    frame: tcs.PublishMetricsRequest
    told: tuple[Told, ...] = ()

    def sent(self) -> None:
        """It was written: its samples are told of."""
        for one in self.told:
            one.ring.sent(one.number)


def figures_of(task: Task, rings: Mapping[DockerId, Ring]) -> Figures | None:
    """What is to be told of *task*, whose containers have these *rings*; None while there is nothing.

    ECS takes neither figures nor health of a task that has no family.
    """
    if not task.spec.family:
        return None
    metrics: list[ContainerMetric] = []
    told: list[Told] = []
    for spec, container in task.pairs():
        ring = rings.get(container.docker_id)
        if ring is None:
            continue
        has_network = task.spec.network_mode in WITH_NETWORK and spec.name != PAUSE
        found = metric(spec.name, ring, has_network=has_network, has_policy=spec.restart is not None)
        if found is not None:
            metrics.append(found)
            told.append(Told(ring, ring.entries[-1].number))
    if not metrics:
        return None
    return Figures(TaskMetric(metrics, task.arn, task.spec.family, task.spec.version), tuple(told))


def idle_page(who: TcsSettings, message_id: str, now: datetime) -> Page:
    """The frame of an instance on which nothing is measured."""
    return Page(_request(who, message_id, now, None, fin=True))


def metrics_pages(figures: Sequence[Figures], who: TcsSettings, message_id: str, now: datetime) -> list[Page]:
    """*figures* in as few frames as they fit into: ten tasks each at most, and a mebibyte."""
    cut = list(_cut(figures, len(msgspec.json.encode(_request(who, message_id, now, [], fin=False)))))
    return [
        Page(
            _request(who, message_id, now, [one.metric for one in part], fin=number == len(cut)),
            tuple(told for one in part for told in one.told),
        )
        for number, part in enumerate(cut, 1)
    ]


def _cut(figures: Sequence[Figures], around: int) -> Iterator[list[Figures]]:
    """Parts of *figures* that fit into a frame. A task that is too large for any is alone in one."""
    part: list[Figures] = []
    size = around
    for one in figures:
        octets = len(msgspec.json.encode(one.metric)) + 1  # a comma
        if part and (len(part) == tcs.MOST_TASKS or size + octets - 1 > tcs.MOST_OCTETS):
            yield part
            part, size = [], around
        part.append(one)
        size += octets
    if part:
        yield part


def _request(
    who: TcsSettings, message_id: str, now: datetime, metrics: list[TaskMetric] | None, *, fin: bool
) -> tcs.PublishMetricsRequest:
    metadata = tcs.MetricsMetadata(who.cluster, who.instance_arn, fin=fin, idle=metrics is None, message_id=message_id)
    return tcs.PublishMetricsRequest(metadata, metrics, tcs.stamp(now))


def health_pages(
    tasks: Mapping[TaskArn, Task], who: TcsSettings, message_id: str, now: datetime
) -> list[tcs.PublishHealthRequest]:
    """The health of all containers that run and have a health check; no frame where there is none."""
    found = [one for one in (_health(task, now) for task in tasks.values()) if one is not None]
    parts = [found[at : at + tcs.MOST_TASKS] for at in range(0, len(found), tcs.MOST_TASKS)]
    return [
        tcs.PublishHealthRequest(
            tcs.HealthMetadata(who.cluster, who.instance_arn, fin=number == len(parts), message_id=message_id),
            part,
            tcs.stamp(now),
        )
        for number, part in enumerate(parts, 1)
    ]


def _health(task: Task, now: datetime) -> tcs.TaskHealth | None:
    containers = [
        tcs.ContainerHealth(
            spec.name,
            container.health.value,
            tcs.stamp(now if container.health is Health.UNKNOWN else container.health_since or now),
        )
        for spec, container in task.pairs()
        if spec.health_check and container.known is Status.RUNNING
    ]
    if not containers or not task.spec.family:
        return None
    return tcs.TaskHealth(containers, task.arn, task.spec.family, task.spec.version)
