"""What is due for a task, read from its row from top to bottom.

`drive` looks at a row and says which act comes next for each container. It is called after every fact, and calling it
twice says nothing new: whatever is on its way stands in `doing`. The product of what a container is doing and whether
the answer was lost, for a container that is wanted RUNNING or STOPPED:

======== ========== ==============================  ===================================================
doing    answer     wanted RUNNING                  wanted STOPPED
======== ========== ==============================  ===================================================
nothing  --         pull, create or start, by state  CREATED or less: STOPPED at once; RUNNING: stop
pull     awaited    wait                            leave the pull (the last to leave cancels it)
pull     lost       pull again                      leave the pull
create   awaited    wait                            wait: a container may still appear
create   lost       ask, then create again          inspect by name
start    awaited    wait                            stop overtakes (Docker serialises the two)
start    lost       ask, then start again           stop
stop     awaited    --                              wait; past `kill_at` kill overtakes
stop     lost       --                              stop, with the grace that is left
kill     awaited    --                              wait
kill     lost       --                              kill again
inspect  awaited    --                              wait
inspect  lost       --                              inspect again
======== ========== ==============================  ===================================================

"Lost" rows wait for a listing that was asked for after the loss; it often answers the question by itself. While Docker
is lost nothing is due at all.

A lost act stays in `doing`, and with it the chance that a container appears, until a later act on the same container
is answered: Docker serialises the two. A later act that fails for a while has answered nothing. `doing` stands in the
order of decision, a lost act where it was lost, so what an answer settles is what stands before it.
"""

from dataclasses import replace
from datetime import timedelta

from agent.engine import leases, reasons, reports
from agent.engine.draft import Draft
from agent.engine.naming import container_name
from agent.model.acts import (
    DOING,
    CreateContainer,
    InspectContainer,
    KillContainer,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.errors import GiveUp
from agent.model.status import Doing, Status
from agent.model.task import Container, ContainerSpec, Task

ContainerDoing = CreateContainer | StartContainer | StopContainer | KillContainer | InspectContainer | RemoveContainer


def drive(draft: Draft, task: Task) -> Task:
    """Say what is due for *task*, tell ECS what is new, and put the row."""
    before = None
    while before != task:  # a container given up without any act may be an essential one
        before = task
        task = _follow_essentials(draft, task)
        for spec, container in task.pairs():
            after = _advance(draft, task, spec, container)
            _note(draft, task, container, after)
            task = task.having(after)
    if task.pull_started_at is None and any(c.is_doing(Doing.PULL) for c in task.containers):
        task = replace(task, pull_started_at=draft.at)
    task = settle(draft, task)
    draft.put(task)
    return task


def settle(draft: Draft, task: Task) -> Task:
    """Say how far the task as a whole has come, and tell ECS."""
    before, known = task.known, _known(draft, task)
    if known > before:
        task = replace(task, known=known)
        if known is Status.STOPPED:
            task = replace(task, stopped_at=draft.at, remove_at=draft.at + draft.rules.cleanup_wait)
        draft.moved(task.arn, "", before, known, task.reason)
    return reports.tell(draft, task)


def accept(draft: Draft, task: Task, after: Container) -> Task:
    """Put what is newly known of a container into the row.

    One that was started and ended between two looks is told RUNNING first: it did run, and ECS counts from there.
    """
    before = task[after.name]
    ran = before.known < Status.RUNNING and after.known is Status.STOPPED and after.started_at is not None
    if ran and before.wanted is Status.RUNNING and task.wanted is Status.RUNNING and not _has_fallen(task):
        ran_once = replace(
            after, known=Status.RUNNING, wanted=before.wanted, exit_code=None, finished_at=None, reason=before.reason
        )
        _note(draft, task, before, ran_once)
        task = settle(draft, task.having(ran_once))
        before = task[after.name]
        after = replace(after, told=before.told)
    _note(draft, task, before, after)
    return task.having(after)


def _known(draft: Draft, task: Task) -> Status:
    if not task.containers and not draft.listed:
        return task.known  # its containers may turn up in the first listing
    if all(container.at_rest for container in task.containers):
        return Status.STOPPED
    if task.wanted is Status.STOPPED:
        return task.known  # on its way down: nothing more is reached
    return min(Status.RUNNING, *(container.known for container in task.containers))


def _follow_essentials(draft: Draft, task: Task) -> Task:
    fallen = _has_fallen(task)
    if fallen and task.execution_stopped_at is None:
        task = replace(task, execution_stopped_at=draft.at)
    if task.wanted is not Status.STOPPED and (fallen or all(c.known is Status.STOPPED for c in task.containers)):
        task = replace(task, wanted=Status.STOPPED)
    if task.wanted is not Status.STOPPED and task.spec.rebuilt and not _has_life(task):
        task = replace(task, wanted=Status.STOPPED, reason=task.reason or reasons.FOUND_UNSTARTED)
    if task.wanted is Status.STOPPED and any(c.wanted is not Status.STOPPED for c in task.containers):
        task = replace(task, containers=tuple(replace(c, wanted=Status.STOPPED) for c in task.containers))
    return task


def _has_fallen(task: Task) -> bool:
    return any(spec.essential and c.known is Status.STOPPED for spec, c in task.pairs())


def _has_life(task: Task) -> bool:
    """Does anything run of a task that was found without a row? It may have ended long ago: it is not started then."""
    return any(container.known is Status.RUNNING for container in task.containers)


def _advance(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    if container.at_rest:
        return container
    if container.wanted is Status.STOPPED:
        return _wind_down(draft, task, spec, container)
    if container.wake_at is not None or container.in_flight or not _may_act(draft, task, container):
        return container
    return _repeat(draft, task, spec, container) if container.lost else _next(draft, task, spec, container)


def _next(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    match container.known:
        case Status.NONE:
            return _pull(draft, task, spec, container)
        case Status.PULLED:
            return create(draft, task, spec, container)
        case Status.CREATED:
            return _do(draft, container, StartContainer(task.arn, container.name, container.run, container.docker_id))
        case _:
            return container


def _may_act(draft: Draft, task: Task, container: Container) -> bool:
    if not draft.released or task.admitted is None:
        return False
    return draft.is_sure(task.arn, container) or not container.lost


def _repeat(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    afresh = _without_doing(container)
    if container.is_doing(Doing.PULL):
        return _pull(draft, task, spec, afresh)
    if container.is_doing(Doing.CREATE):
        return create(draft, task, spec, afresh, again=True)
    if container.is_doing(Doing.START):
        act = StartContainer(task.arn, container.name, container.run, container.docker_id, again=True)
        return _do(draft, afresh, act)
    return afresh


def _without_doing(container: Container) -> Container:
    return replace(container, doing=(), lost=())


def _pull(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    draft.join_pull(task.spec.source(spec), (task.arn, container.name))
    draft.hear(task.arn, container.name)
    return replace(container, doing=(Doing.PULL,), wake_at=None)


def create(draft: Draft, task: Task, spec: ContainerSpec, container: Container, *, again: bool = False) -> Container:
    """Lease the container's ports, where it has none yet, and have it created."""
    if not container.leases and task.publishes and spec.ports:
        try:
            chosen = leases.lease(spec, draft.rules, draft.is_taken(task), task.draw, container.leases_tried)
        except GiveUp as error:
            return replace(container, known=Status.STOPPED, wanted=Status.STOPPED, reason=error.reason)
        container = replace(container, leases=chosen)
    act = CreateContainer(
        task=task.arn,
        container=container.name,
        run=container.run,
        name=container_name(task.spec, container.name),
        family=task.spec.family,
        version=task.spec.version,
        spec=spec,
        leases=container.leases,
        order=[c.name for c in task.containers].index(container.name),
        count=len(task.containers),
        network_mode=task.spec.network_mode,
        again=again,
    )
    return _do(draft, container, act)


def _wind_down(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    if container.is_doing(Doing.PULL):
        draft.leave_pull(task.spec.source(spec), (task.arn, container.name))
        container = _without_doing(container)
    if not container.doing:
        if container.known < Status.RUNNING:
            return replace(container, known=Status.STOPPED, wake_at=None)
        return stop(draft, task, spec, container)
    if not container.in_flight:
        return _wind_down_unsure(draft, task, spec, container)
    is_up = container.known is not Status.STOPPED
    if is_up and Doing.START in container.in_flight and not container.is_doing(Doing.STOP, Doing.KILL):
        return stop(draft, task, spec, container)
    return container


def _wind_down_unsure(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    if not _may_act(draft, task, container) or container.wake_at is not None:
        return container
    if container.is_doing(Doing.CREATE, Doing.INSPECT):
        name = container_name(task.spec, container.name)
        act = InspectContainer(task.arn, container.name, container.run, name, container.docker_id)
        return _do(draft, container, act)
    if container.is_doing(Doing.KILL):
        return kill(draft, task, container)
    return stop(draft, task, spec, container)


def stop(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    """Have the container signalled now, and killed when its grace ends; a grace that runs already is kept."""
    if not draft.released or container.wake_at is not None or not container.docker_id:
        return container
    grace = draft.rules.stop_timeout if spec.stop_timeout is None else timedelta(seconds=spec.stop_timeout)
    kill_at = max(container.kill_at, draft.at) if container.kill_at is not None else draft.at + grace
    act = StopContainer(task.arn, container.name, container.run, container.docker_id, kill_at)
    return _do(draft, replace(container, kill_at=kill_at), act)


def kill(draft: Draft, task: Task, container: Container) -> Container:
    """Have the container killed now, whatever else is on its way."""
    if not draft.released or not container.docker_id:
        return container
    return _do(draft, container, KillContainer(task.arn, container.name, container.run, container.docker_id))


def remove(draft: Draft, task: Task, container: Container) -> Container:
    """Have what is left of a stopped container removed."""
    if not draft.released or container.in_flight or container.removed or container.wake_at is not None:
        return container
    if container.lost and not draft.is_sure(task.arn, container):
        return container
    if not container.docker_id:
        return replace(container, removed=True)
    name = container_name(task.spec, container.name)
    act = RemoveContainer(task.arn, container.name, container.run, name, container.docker_id)
    return _do(draft, _without_doing(container), act)


def _do(draft: Draft, container: Container, act: ContainerDoing) -> Container:
    draft.acts.append(act)
    draft.hear(act.task, act.container)
    word = DOING[type(act)]
    doing = (*(d for d in container.doing if d is not word), word)
    return replace(container, doing=doing, lost=tuple(d for d in container.lost if d is not word), wake_at=None)


def _note(draft: Draft, task: Task, before: Container, after: Container) -> None:
    if after.known != before.known:
        draft.hear(task.arn, before.name)
        draft.moved(task.arn, before.name, before.known, after.known, after.reason)
