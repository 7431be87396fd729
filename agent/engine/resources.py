"""What containers need besides an image: the task's cgroup, its volumes, and values that are kept elsewhere.

They are prepared side by side as soon as a task is admitted, and cleared when its containers have been removed. Every
act on them is repeated by doing it again, so one whose answer was lost is simply done again, after a while. What cannot
be prepared stops the task, and is the task's reason.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent.engine import due, reasons
from agent.engine.draft import Draft
from agent.engine.naming import cgroup_path, volume_name
from agent.model.acts import (
    CreateCgroup,
    CreateVolume,
    FetchValues,
    Limits,
    RemoveCgroup,
    RemoveVolume,
    ResourceAct,
)
from agent.model.errors import GiveUp
from agent.model.events import ActFailed, Fault, ResourceCleared, ResourceReady
from agent.model.names import TaskArn
from agent.model.parts import Registry, Volume
from agent.model.rules import Rules
from agent.model.seen import Labels
from agent.model.status import ResourceDoing, ResourceKind, ResourceStatus, Status
from agent.model.task import Container, ContainerSpec, Resource, Task, TaskSpec

TRIES = 5
"""How often something is tried to be prepared before the task stops."""

CLEAR_TRIES = 10
"""How often something is tried to be cleared, over some five minutes, before it is left where it is."""

SMALLEST_SHARE, LARGEST_SHARE = 2, 262144
MICROSECONDS = 1_000_000

Acting = CreateCgroup | CreateVolume | FetchValues | RemoveCgroup | RemoveVolume


# -- what containers wait for -------------------------------------------------------------------------------------


def is_ready(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> bool:
    """Is everything there that the container's next act needs, a pull, a create or a start?"""
    match container.known:
        case Status.NONE:
            return _may_pull(draft, task, spec)
        case Status.PULLED:
            return ready_for(task, spec)
        case Status.CREATED:
            return _is_there(task, ResourceKind.CGROUP)
        case _:
            return True


def _may_pull(draft: Draft, task: Task, spec: ContainerSpec) -> bool:
    if spec.registry is None:
        return True
    if not draft.has_credentials(task.spec.source(spec).credentials_id):
        return False
    return spec.registry.kind is not Registry.ASM or _is_there(task, ResourceKind.VALUES)


def ready_for(task: Task, spec: ContainerSpec) -> bool:
    """Is everything there that *spec* needs to be created? A start alone needs the cgroup, which may still come."""
    wants_values = bool(spec.secrets or spec.environment_files)
    has_volumes = all(_is_there(task, ResourceKind.VOLUME, mount.volume) for mount in spec.mounts)
    return has_volumes and (not wants_values or _is_there(task, ResourceKind.VALUES))


def _is_there(task: Task, kind: ResourceKind, name: str = "") -> bool:
    """What a task does not have, nobody waits for."""
    mine = (one for one in task.resources if one.kind is kind and one.name == name)
    return all(one.known is ResourceStatus.READY for one in mine)


# -- preparing ----------------------------------------------------------------------------------------------------


def after_start(task: Task) -> Task:
    """The row of *task* in a new process: answers to acts are lost, and so are values, which are in memory only.

    A host that was started anew has forgotten its cgroups: before a container starts, its limits are set once more.
    """
    is_wanted = task.wanted is not Status.STOPPED and not task.spec.rebuilt  # of what labels tell, nothing is made
    needs_values = is_wanted and any(c.known < Status.RUNNING for c in task.containers)
    needs_limits = needs_values or (is_wanted and any(spec.restart for spec in task.spec.containers))

    def begin(one: Resource) -> Resource:
        if one.kind is ResourceKind.VALUES and one.known is ResourceStatus.READY and needs_values:
            return replace(one, known=ResourceStatus.NONE)
        if one.kind is ResourceKind.CGROUP and one.known is ResourceStatus.READY and needs_limits:
            return replace(one, known=ResourceStatus.NONE, doing=ResourceDoing.PREPARE, lost=True)
        return replace(one, lost=one.doing is not None)

    return replace(task, resources=tuple(begin(one) for one in task.resources))


def found(spec: TaskSpec, *, has_cgroup: bool) -> tuple[Resource, ...]:
    """What a task has that was found by its labels: it runs, so it is there; and it ends with the task."""
    cgroup = (Resource(ResourceKind.CGROUP, known=ResourceStatus.READY),) if has_cgroup else ()
    volumes = (Resource(ResourceKind.VOLUME, one.name, known=ResourceStatus.READY) for one in spec.volumes)
    return (*cgroup, *volumes)


def filled_in(task: Task, rules: Rules) -> Task:
    """*task* with all that it needs by its spec, which labels told only in part. What was found is prepared again."""
    had = tuple(
        replace(one, known=ResourceStatus.NONE, doing=ResourceDoing.PREPARE, lost=True)
        for one in task.resources
        if one.known is ResourceStatus.READY
    )
    names = {(one.kind, one.name) for one in had}
    return replace(task, resources=had + tuple(o for o in _needs(task.spec, rules) if (o.kind, o.name) not in names))


def noticed(task: Task, labels: Sequence[Labels], rules: Rules) -> Task:
    """*task* with all that its containers were made with, so that it is cleared after them.

    Its journal was lost, and a payload told of it before a listing did: its row knows of nothing that was prepared.
    """
    cgroup = {(ResourceKind.CGROUP, "") for one in labels if one.cgroup}
    there = frozenset(cgroup | {(ResourceKind.VOLUME, name) for one in labels for name in one.volumes})
    if not there:
        return task
    is_ending = task.wanted is Status.STOPPED
    had = task.resources or _needs(task.spec, rules)
    after = (_noticed(one, is_ending=is_ending) if (one.kind, one.name) in there else one for one in had)
    return replace(task, resources=tuple(after))


def _noticed(one: Resource, *, is_ending: bool) -> Resource:
    if one.known is not ResourceStatus.NONE or one.doing is not None:
        return one
    if is_ending:
        return replace(one, known=ResourceStatus.READY)
    return replace(one, doing=ResourceDoing.PREPARE, lost=True)


def advance(draft: Draft, task: Task) -> Task:
    """Have prepared what *task* needs and does not have; what cannot be stops it."""
    if task.wanted is Status.STOPPED or task.admitted is None or task.spec.rebuilt:
        return task
    if not task.resources:
        task = replace(task, resources=_needs(task.spec, draft.rules))
    for resource in task.resources if draft.released else ():
        task = _prepare(draft, task, resource)
    return task


def _needs(spec: TaskSpec, rules: Rules) -> tuple[Resource, ...]:
    cgroup = (Resource(ResourceKind.CGROUP),) if rules.task_limits else ()
    volumes = tuple(Resource(ResourceKind.VOLUME, volume.name) for volume in spec.volumes if volume.is_dockers)
    values = (Resource(ResourceKind.VALUES),) if spec.wants_values else ()
    return cgroup + volumes + values


def _prepare(draft: Draft, task: Task, resource: Resource) -> Task:
    is_due = resource.known is ResourceStatus.NONE and resource.wake_at is None
    if not is_due or (resource.doing is not None and not resource.lost):
        return task
    if resource.kind is ResourceKind.VALUES and not draft.has_credentials(task.spec.execution_credentials_id):
        return task
    try:
        draft.acts.append(_preparation(task.spec, resource, draft.rules))
    except GiveUp as error:
        return _fail(task, resource, error.reason)
    return _having(task, replace(resource, doing=ResourceDoing.PREPARE, lost=False))


def _preparation(spec: TaskSpec, resource: Resource, rules: Rules) -> Acting:
    match resource.kind:
        case ResourceKind.CGROUP:
            return CreateCgroup(
                spec.arn, resource.kind, path=cgroup_path(spec, rules.cgroup_version), limits=limits(spec, rules)
            )
        case ResourceKind.VOLUME:
            volume = _volume(spec, resource)
            name = volume_name(spec, volume)
            return CreateVolume(spec.arn, resource.kind, resource.name, name, volume, spec.task_credentials_id)
        case ResourceKind.VALUES:
            return FetchValues(spec.arn, resource.kind, spec=spec)


def limits(spec: TaskSpec, rules: Rules) -> Limits:
    """What a task as a whole may use. Raises GiveUp where a container may use more memory than its task."""
    for one in spec.containers:
        if spec.memory and one.memory > spec.memory:
            raise GiveUp(*reasons.more_than_its_task(one.name, one.memory, spec.memory))
    period = round(rules.cpu_period.total_seconds() * MICROSECONDS)
    if spec.cpu:
        return Limits(quota=int(spec.cpu * period), period=period, memory=spec.memory, pids=rules.pids_limit)
    shares = min(LARGEST_SHARE, sum(max(SMALLEST_SHARE, one.cpu) for one in spec.containers))
    return Limits(shares=shares, memory=spec.memory, pids=rules.pids_limit)


def _volume(spec: TaskSpec, resource: Resource) -> Volume:
    return next(volume for volume in spec.volumes if volume.name == resource.name)


# -- clearing -----------------------------------------------------------------------------------------------------


def clear(draft: Draft, task: Task) -> Task:
    """Have cleared what there is of a task that is over."""
    for resource in task.resources if draft.released else ():
        is_answered = resource.doing is None or resource.lost
        if resource.known is ResourceStatus.GONE or resource.wake_at is not None or not is_answered:
            continue
        act = _clearance(task.spec, resource, draft.rules)
        was_begun = resource.known is not ResourceStatus.NONE or resource.doing is not None or resource.tries
        if act is None or not was_begun:
            gone = replace(resource, known=ResourceStatus.GONE, doing=None, lost=False)
            task = _having(task, gone)
            continue
        draft.acts.append(act)
        task = _having(task, replace(resource, doing=ResourceDoing.CLEAR, lost=False))
    return task


def is_clear(task: Task) -> bool:
    """Is nothing left of what the task had?"""
    return all(resource.known is ResourceStatus.GONE for resource in task.resources)


def _clearance(spec: TaskSpec, resource: Resource, rules: Rules) -> Acting | None:
    if resource.kind is ResourceKind.CGROUP:
        return RemoveCgroup(spec.arn, resource.kind, path=cgroup_path(spec, rules.cgroup_version))
    if resource.kind is ResourceKind.VOLUME and not (volume := _volume(spec, resource)).is_shared:
        return RemoveVolume(spec.arn, resource.kind, resource.name, volume_name(spec, volume))
    return None


# -- answers ------------------------------------------------------------------------------------------------------


def answered(draft: Draft, event: ResourceReady | ResourceCleared) -> set[TaskArn]:
    """Something is there, or not there any more."""
    task, resource = _meant(draft, event.act)
    if task is None or resource is None:
        return set()
    known = ResourceStatus.READY if isinstance(event, ResourceReady) else ResourceStatus.GONE
    draft.put(_having(task, replace(resource, known=known, doing=None, lost=False, tries=0)))
    return {task.arn}


def failed(draft: Draft, event: ActFailed, act: ResourceAct) -> set[TaskArn]:
    """Something could not be prepared, or not be cleared."""
    task, resource = _meant(draft, act)
    if task is None or resource is None:
        return set()
    is_lost = event.fault in (Fault.UNKNOWN, Fault.CANCELLED)
    again = replace(
        resource,
        doing=resource.doing if is_lost else None,
        lost=is_lost,
        tries=resource.tries if is_lost else resource.tries + 1,  # Docker's silence is no failed try
        wake_at=draft.at + due.back_off(resource.tries),
    )
    if resource.doing is ResourceDoing.CLEAR:
        gone = replace(again, known=ResourceStatus.GONE, doing=None, lost=False, wake_at=None)
        draft.put(_having(task, again if again.tries < CLEAR_TRIES else gone))
    elif event.fault is Fault.GIVE_UP or again.tries >= TRIES:
        draft.put(_fail(task, resource, event.reason))
    else:
        draft.put(_having(task, again))
    return {task.arn}


def broke(draft: Draft, act: ResourceAct) -> None:
    """A bug of ours met an act: what was to be prepared is not to be had, what was to be cleared is left."""
    task, resource = _meant(draft, act)
    if task is None or resource is None:
        return
    is_clear_act = resource.doing is ResourceDoing.CLEAR
    known = ResourceStatus.GONE if is_clear_act else ResourceStatus.FAILED
    draft.put(_having(task, replace(resource, known=known, doing=None, lost=False)))


def pass_all(draft: Draft, task: Task) -> Task:
    """What was to be tried again by now is due."""
    for resource in task.resources:
        if resource.wake_at is not None and resource.wake_at <= draft.at:
            task = _having(task, replace(resource, wake_at=None))
    return task


def _meant(draft: Draft, act: ResourceAct) -> tuple[Task | None, Resource | None]:
    task = draft.task(act.task)
    word = ResourceDoing.CLEAR if isinstance(act, RemoveCgroup | RemoveVolume) else ResourceDoing.PREPARE
    for resource in task.resources if task is not None else ():
        if (resource.kind, resource.name, resource.doing) == (act.kind, act.resource, word):
            return task, resource
    return task, None


def _fail(task: Task, resource: Resource, reason: str) -> Task:
    failed_one = replace(resource, known=ResourceStatus.FAILED, doing=None, lost=False, wake_at=None)
    return replace(
        _having(task, failed_one), wanted=Status.STOPPED, reason=task.reason or reasons.as_task_reason(reason)
    )


def _having(task: Task, resource: Resource) -> Task:
    same = (resource.kind, resource.name)
    return replace(task, resources=tuple(resource if (one.kind, one.name) == same else one for one in task.resources))
