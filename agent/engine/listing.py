"""What a look at Docker says about all containers at once.

A listing is one event, applied whole. It judges a container only if nothing about it was decided, heard or in flight
since the listing was asked for; the others wait for the next one. A container whose task is unknown here is a task to
be rebuilt from its labels (the journal was lost), unless a tombstone says that the task is over.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import groupby

from agent.engine import clock_steps, downtime, ending, facts, leases, lifecycle, reasons, resources
from agent.engine.draft import Draft
from agent.engine.world import World
from agent.model.acts import KillContainer, RemoveContainer
from agent.model.events import Listed
from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Dependency, Volume
from agent.model.rules import Rules
from agent.model.seen import Labels, Phase, Seen, Summary
from agent.model.status import Doing, Status
from agent.model.takeover import INTERNAL
from agent.model.task import Container, ContainerSpec, Task, TaskSpec


def to_inspect(world: World, listed: Iterable[Summary]) -> frozenset[DockerId]:
    """Which containers must be looked at: listed ones that differ from their row, and rows' that are not listed."""
    rows = {c.docker_id: c for t in world.tasks.values() for c in t.containers if c.docker_id and not c.removed}
    shown = {summary.docker_id: summary.phase for summary in listed}
    differing = {i for i, phase in shown.items() if i not in rows or _differs(rows[i], phase)}
    missing = {i for i, container in rows.items() if i not in shown and not container.at_rest}
    return frozenset(differing | missing | (_watched(world) & shown.keys()))


def _watched(world: World) -> set[DockerId]:
    """Running containers whose health is kept: a listing does not show it, and a hint may have been missed."""
    watched = set()
    for task in world.tasks.values():
        names = {spec.name for spec in task.spec.containers if spec.health_check}
        watched |= {c.docker_id for c in task.containers if c.name in names and c.known is Status.RUNNING}
    return watched


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


def hear(draft: Draft, event: Listed) -> set[TaskArn]:
    """Apply a listing to every row; gives the tasks that may go on after it."""
    was_held = not draft.released
    draft.listed = True
    draft.released = draft.released or event.asked >= draft.held_since
    draft.unsure = {key: step for key, step in draft.unsure.items() if step > event.asked}
    by_task = _by_task(event.seen)
    touched = set()
    down = downtime.without_docker(draft, event.at) if draft.world.listed else downtime.length(draft.tasks(), event.at)
    if draft.released:
        draft.lost_at = None
    if not draft.world.listed:
        clock_steps.clamp_all(draft)
    for task in list(draft.tasks()):
        seen = by_task.pop(task.arn, ())
        if task.arn in draft.world.abandoned:
            _kill_abandoned(draft, seen)
            continue
        with draft.about(task.arn):
            after = _judge(draft, downtime.forgiven(task, down, event.at), seen, event)
            draft.put(after)
        if (was_held and draft.released) or after is not task or any(c.lost for c in task.containers):
            touched.add(task.arn)
    for arn, seen in by_task.items():
        if draft.tombstone(arn) is None:
            touched.add(rebuild(draft, arn, seen))
        else:
            _clear_away(draft, seen)
    return touched


def _by_task(seen: Iterable[Seen]) -> dict[TaskArn, tuple[Seen, ...]]:
    ordered = sorted(seen, key=lambda one: (one.labels.task, one.labels.order))
    return {TaskArn(arn): tuple(group) for arn, group in groupby(ordered, key=lambda one: one.labels.task)}


def _judge(draft: Draft, task: Task, seen: tuple[Seen, ...], event: Listed) -> Task:
    if task.known is Status.STOPPED:
        rows = {container.name: container for container in task.containers}
        _clear_away(draft, (one for one in seen if not _is_of_row(rows.get(one.labels.container), one)))
    elif task.spec.rebuilt:
        task = _with_credentials(draft, _with_found(task, seen), seen)
    else:
        task = resources.noticed(task, [one.labels for one in seen], draft.rules)
    for container in task.containers:
        if container.in_flight or draft.world.heard.get((task.arn, container.name), 0) > event.asked:
            continue
        mine = [one for one in seen if one.labels.container == container.name and facts.concerns(container, one)]
        if mine:
            task = look(draft, task, max(mine, key=lambda one: one.labels.run))
        elif container.docker_id in event.gone:
            after = facts.vanished(container, reasons.VANISHED)
            task = lifecycle.accept(draft, task, replace(after, doing=(), lost=(), removed=True))
    return task


def _is_of_row(container: Container | None, seen: Seen) -> bool:
    return container is not None and facts.concerns(container, seen)


def look(draft: Draft, task: Task, seen: Seen, *, may_be_late: bool = False) -> Task:
    """Apply one look at a container of *task*: a listing's entry, or an inspect that a hint caused.

    The latter may have been overtaken by other news.
    """
    try:
        before = task[seen.labels.container]
    except KeyError:
        return task
    if facts.is_ghost(before, seen):
        if before.in_flight:
            return task
        haunted = replace(facts.adopt(before, seen), doing=(), lost=(), kill_at=None, wake_at=None)
        return task.having(ending.stop(draft, task, task.asked(before.name), haunted))
    after = facts.apply(before, seen, may_be_late=may_be_late)
    after = facts.with_metadata_id(task, after, seen)
    after = facts.with_health(task.asked(before.name), after, seen, draft.at, may_be_late=may_be_late)
    if after.health is not before.health:
        draft.hear(task.arn, before.name)
    is_made = Doing.CREATE in after.lost and facts.concerns(after, seen)
    has_run = facts.has_run(after, seen, may_be_late=may_be_late)
    if after.lost and (is_made or after.known > before.known or has_run):
        after = replace(after, doing=after.in_flight, lost=())
    if _is_find(before, after):
        after = replace(after, doing=(Doing.START,), lost=(Doing.START,))
    return task if after == before else lifecycle.accept(draft, task, after)


def _is_find(before: Container, after: Container) -> bool:
    """Did its row not even hear of its creation, for the disk was behind? Then its start may be on its way as well."""
    is_new = bool(after.docker_id) and not before.docker_id and not before.is_doing(Doing.CREATE)
    return is_new and after.known is Status.CREATED and not after.in_flight


def _kill_abandoned(draft: Draft, seen: Iterable[Seen]) -> None:
    for one in seen:
        if draft.released and one.status is Status.RUNNING:
            draft.acts.append(KillContainer(one.labels.task, one.labels.container, one.labels.run, one.docker_id))


def _clear_away(draft: Draft, seen: Iterable[Seen]) -> None:
    """Remove what is left in Docker of a task that is over."""
    for one in seen:
        if not draft.released or one.docker_id in draft.world.strays:
            continue
        labels, stray = one.labels, frozenset({one.docker_id})
        act = RemoveContainer(labels.task, labels.container, labels.run, one.name, one.docker_id, force=True)
        draft.acts.append(act)
        draft.afterwards(partial(_remember_strays, strays=stray))


def _remember_strays(world: World, strays: frozenset[DockerId]) -> None:
    world.strays |= strays


def rebuild(draft: Draft, arn: TaskArn, seen: tuple[Seen, ...]) -> TaskArn:
    """Make a task of what its containers' labels say: enough to obey stops and report exits."""
    task = found(arn, _first(seen) or draft.at, draft.at)
    with draft.about(arn):
        task = _with_credentials(draft, _with_found(task, seen), seen)
        for one in seen:
            task = look(draft, task, one)
        draft.put(task)
    return arn


def found(arn: TaskArn, arrived: datetime, admitted: datetime) -> Task:
    """The row of a task of which nothing is known but its ARN; a listing or a payload says more."""
    spec = TaskSpec(arn=arn, family="", version="", containers=(), rebuilt=True)
    return Task(spec=spec, containers=(), arrived=arrived, admitted=admitted)


def _with_found(task: Task, seen: Iterable[Seen]) -> Task:
    """*task* with the containers that its row does not have yet, each name once, of the latest run."""
    latest: dict[str, Seen] = {}
    for one in seen:
        known = latest.get(one.labels.container)
        if known is None or known.labels.run < one.labels.run:
            latest[one.labels.container] = one
    for name in {container.name for container in task.containers}:
        latest.pop(name, None)
    specs = tuple(_spec(one.labels) for one in latest.values())
    rows = tuple(_row(spec, one) for spec, one in zip(specs, latest.values(), strict=True))
    if not rows:
        return task
    labels = next(iter(latest.values())).labels
    spec = replace(
        task.spec,
        family=labels.family,
        version=labels.version,
        containers=task.spec.containers + specs,
        volumes=task.spec.volumes or tuple(Volume(name) for name in labels.volumes),
    )
    had = task.resources or resources.found(spec, has_cgroup=labels.cgroup)
    return replace(task, spec=spec, containers=task.containers + rows, resources=had)


def _with_credentials(draft: Draft, task: Task, seen: Iterable[Seen]) -> Task:
    """*task* with the id of its role's credentials, as its containers know it, so that ECS is asked for the values.

    A container's variables are its author's to choose: an id that another task has is that task's alone.
    """
    found = {one.task_credentials_id for one in seen if one.task_credentials_id}
    if task.spec.task_credentials_id or len(found) != 1:
        return task
    credentials_id = found.pop()
    if any(credentials_id in other.spec.credentials_ids for other in draft.tasks() if other.arn != task.arn):
        return task
    return replace(task, spec=replace(task.spec, task_credentials_id=credentials_id))


def _row(spec: ContainerSpec, seen: Seen) -> Container:
    """The row of a container that was found. Whether its start had been asked for, nobody knows any more."""
    is_created = seen.status is Status.CREATED
    maybe = (Doing.START,) if is_created else ()
    return Container(
        name=spec.name,
        known=Status.CREATED if is_created else Status.NONE,
        doing=maybe,
        lost=maybe,
        run=seen.labels.run,
        docker_id=seen.docker_id,
        created_at=seen.created_at,
        metadata_id=seen.metadata_id,
        leases=leases.of_bindings(seen.bindings),
    )


def _first(seen: tuple[Seen, ...]) -> datetime | None:
    return min((one.created_at for one in seen if one.created_at), default=None)


def _spec(labels: Labels) -> ContainerSpec:
    return ContainerSpec(
        name=labels.container,
        image=Image(labels.image),
        essential=labels.essential,
        ports=labels.ports,
        stop_timeout=labels.stop_timeout,
        depends_on=labels.depends_on,
        restart=labels.restart,
    )


def fill_in(task: Task, spec: TaskSpec, draw: str, rules: Rules) -> Task:
    """A rebuilt task, now that a payload says what it really is. Containers it lacks begin from nothing.

    Of a task that is over, nothing is begun.
    """
    if task.known is Status.STOPPED:
        return task
    known = {container.name: container for container in task.containers}
    spec = _with_added(spec, tuple(one for one in task.spec.containers if one.name.startswith(INTERNAL)))
    containers = tuple(known.get(one.name) or Container(name=one.name) for one in spec.containers)
    return resources.filled_in(replace(task, spec=spec, containers=containers, draw=draw), rules)


def _with_added(spec: TaskSpec, added: tuple[ContainerSpec, ...]) -> TaskSpec:
    """*spec* with containers that an agent before us has added: no payload tells of them, and all others need them."""
    needs = tuple(Dependency(one.name) for one in added)
    theirs = tuple(replace(one, depends_on=one.depends_on + needs) for one in spec.containers)
    return replace(spec, containers=theirs + added) if added else spec
