"""What a look at Docker says about all containers at once.

A listing is one event, applied whole. It judges a container only if nothing about it was decided, heard or in flight
since the listing was asked for; the others wait for the next one. A container whose task is unknown here is a task to
be rebuilt from its labels (the journal was lost), unless a tombstone says that the task is over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from agent.engine import facts, lifecycle, reasons
from agent.engine.draft import Draft, World
from agent.model.acts import RemoveContainer
from agent.model.events import Listed
from agent.model.names import DockerId, Image, TaskArn
from agent.model.seen import Labels, Phase, Seen, Summary
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec


def to_inspect(world: World, listed: Iterable[Summary]) -> frozenset[DockerId]:
    """Which containers must be looked at: listed ones that differ from their row, and rows' that are not listed."""
    rows = {c.docker_id: c for t in world.tasks.values() for c in t.containers if c.docker_id and not c.removed}
    shown = {summary.docker_id: summary.phase for summary in listed}
    differing = {i for i, phase in shown.items() if i not in rows or _differs(rows[i], phase)}
    missing = {i for i, container in rows.items() if i not in shown and not container.at_rest}
    return frozenset(differing | missing)


def _differs(container: Container, phase: Phase) -> bool:
    if container.lost:
        return True
    match phase:
        case Phase.RUNNING | Phase.PAUSED | Phase.RESTARTING:
            return container.known is not Status.RUNNING
        case Phase.CREATED:
            return container.known not in (Status.CREATED, Status.STOPPED)
        case _:
            return container.known is not Status.STOPPED


def hear(draft: Draft, event: Listed) -> None:
    """Apply a listing to every row; whoever is held is driven by the caller."""
    draft.released = draft.released or event.asked >= draft.held_since
    draft.unsure = {key: step for key, step in draft.unsure.items() if step > event.asked}
    by_task = _by_task(event.seen)
    for task in list(draft.tasks()):
        if task.arn in draft.world.abandoned:
            continue
        with draft.about(task.arn):
            _judge(draft, task, by_task.pop(task.arn, ()), event)
    for arn, seen in by_task.items():
        if arn in draft.world.tasks:
            continue
        if draft.tombstone(arn) is not None:
            for stray in seen:
                _clear_away(draft, stray)
        else:
            rebuild(draft, arn, seen)


def _by_task(seen: Iterable[Seen]) -> dict[TaskArn, tuple[Seen, ...]]:
    ordered = sorted(seen, key=lambda one: (one.labels.task, one.labels.order))
    return {TaskArn(arn): tuple(group) for arn, group in groupby(ordered, key=lambda one: one.labels.task)}


def _judge(draft: Draft, task: Task, seen: tuple[Seen, ...], event: Listed) -> None:
    shown: Mapping[str, Seen] = {one.labels.container: one for one in seen}
    for container in task.containers:
        if container.in_flight or draft.world.heard.get((task.arn, container.name), 0) > event.asked:
            continue
        if (one := shown.get(container.name)) is not None:
            task = look(draft, task, one)
        elif container.docker_id in event.gone:
            after = facts.vanished(container, reasons.VANISHED)
            task = task.having(replace(after, doing=(), lost=(), removed=True))
            _note(draft, task, container, after)
    draft.put(task)


def look(draft: Draft, task: Task, seen: Seen) -> Task:
    """Apply one look at a container of *task*: a listing's entry, or an inspect that a hint caused."""
    try:
        before = task[seen.labels.container]
    except KeyError:
        return task
    if facts.is_ghost(before, seen):
        if before.in_flight:
            return task
        haunted = replace(before, doing=(), lost=(), kill_at=None)
        return task.having(lifecycle.stop(draft, task, task.asked(before.name), haunted))
    after = facts.apply(before, seen)
    if after.known > before.known and after.lost:
        after = replace(after, doing=after.in_flight, lost=())
    if after != before:
        _note(draft, task, before, after)
        task = task.having(after)
    return task


def _note(draft: Draft, task: Task, before: Container, after: Container) -> None:
    draft.hear(task.arn, before.name)
    if after.known != before.known:
        draft.moved(task.arn, before.name, before.known, after.known, after.reason)


def _clear_away(draft: Draft, seen: Seen) -> None:
    if seen.docker_id in draft.world.strays:
        return
    labels = seen.labels
    act = RemoveContainer(labels.task, labels.container, labels.run, seen.name, seen.docker_id, force=True)
    draft.acts.append(act)
    draft.afterwards(lambda world: world.strays.update({seen.docker_id: act}))


def rebuild(draft: Draft, arn: TaskArn, seen: tuple[Seen, ...]) -> None:
    """Make a task of what its containers' labels say: enough to obey stops and report exits."""
    spec = TaskSpec(
        arn=arn,
        family=seen[0].labels.family,
        version=seen[0].labels.version,
        containers=tuple(_spec(one.labels) for one in seen),
        rebuilt=True,
    )
    task = Task(
        spec=spec,
        containers=tuple(Container(name=one.labels.container, run=one.labels.run) for one in seen),
        arrived=_first(seen) or draft.at,
        admitted=draft.at,
    )
    for one in seen:
        task = look(draft, task, one)
    draft.put(task)


def _first(seen: tuple[Seen, ...]) -> datetime | None:
    return min((one.created_at for one in seen if one.created_at), default=None)


def _spec(labels: Labels) -> ContainerSpec:
    return ContainerSpec(
        name=labels.container,
        image=Image(labels.image),
        essential=labels.essential,
        ports=labels.ports,
        stop_timeout=labels.stop_timeout,
    )


def fill_in(task: Task, spec: TaskSpec) -> Task:
    """A rebuilt task, now that a payload says what it really is. Containers it lacks begin from nothing."""
    known = {container.name: container for container in task.containers}
    return replace(
        task, spec=spec, containers=tuple(known.get(c.name) or Container(name=c.name) for c in spec.containers)
    )
