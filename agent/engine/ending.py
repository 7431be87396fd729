"""How a container comes down: stopped in turn, killed in time, removed in the end."""

from dataclasses import replace

from agent.engine import due, ordering
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
from agent.model.status import Doing, Status
from agent.model.task import Container, ContainerSpec, Task

ContainerDoing = CreateContainer | StartContainer | StopContainer | KillContainer | InspectContainer | RemoveContainer


def wind_down(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    """What is due for a container that is wanted STOPPED."""
    if container.is_doing(Doing.PULL):
        draft.leave_pull(task.spec.source(spec), (task.arn, container.name))
        container = without_doing(container)
    if not container.doing:
        if container.known < Status.RUNNING:
            # Before the first listing it may run all the same: made by a process whose rows were lost.
            return replace(container, known=Status.STOPPED, wake_at=None) if draft.listed else container
        return _stop_in_turn(draft, task, spec, container)
    if not container.in_flight:
        return _wind_down_unsure(draft, task, spec, container)
    is_up = container.known is not Status.STOPPED
    may_run = container.known is Status.RUNNING or container.is_doing(Doing.CREATE, Doing.START, Doing.INSPECT)
    if is_up and may_run and (task.forced or Doing.KILL in container.lost):
        return _kill_over(draft, task, container)
    if is_up and Doing.START in container.in_flight and not container.is_doing(Doing.STOP, Doing.KILL):
        return _stop_in_turn(draft, task, spec, container)
    return container


def _wind_down_unsure(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    if not may_act(draft, task, container) or container.wake_at is not None:
        return container
    if container.is_doing(Doing.CREATE, Doing.INSPECT):
        name = container_name(task.spec, container.name)
        act = InspectContainer(task.arn, container.name, container.run, name, container.docker_id)
        return do(draft, container, act)
    if container.is_doing(Doing.KILL):
        return kill(draft, task, container)
    return _stop_in_turn(draft, task, spec, container)


def _kill_over(draft: Draft, task: Task, container: Container) -> Container:
    """A kill does not wait for a start, a stop or a look that is on its way: Docker serialises it with them.

    So one by an operator's force, and one that was lost while the stop that it overtook is not answered either.
    """
    is_asked = Doing.KILL in container.in_flight or container.wake_at is not None
    return container if is_asked or not may_act(draft, task, container) else kill(draft, task, container)


def _stop_in_turn(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    """A container is stopped after all that depend on it; its own grace begins then. By force there is no turn."""
    if task.forced:
        return stop(draft, task, spec, container)
    return stop(draft, task, spec, container) if ordering.may_stop(task, container.name) else container


def stop(draft: Draft, task: Task, spec: ContainerSpec, container: Container) -> Container:
    """Have the container signalled now, and killed when its grace ends; a grace that runs already is kept.

    By an operator's force it is killed now.
    """
    if not draft.released or container.wake_at is not None or not container.docker_id:
        return container
    if task.forced:
        return kill(draft, task, container)
    latest = draft.at + due.grace(spec, draft.rules)
    kill_at = min(max(container.kill_at, draft.at), latest) if container.kill_at is not None else latest
    act = StopContainer(task.arn, container.name, container.run, container.docker_id, kill_at)
    return do(draft, replace(container, kill_at=kill_at), act)


def kill(draft: Draft, task: Task, container: Container) -> Container:
    """Have the container killed now, whatever else is on its way."""
    if not draft.released or not container.docker_id:
        return container
    return do(draft, container, KillContainer(task.arn, container.name, container.run, container.docker_id))


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
    return do(draft, without_doing(container), act)


def may_act(draft: Draft, task: Task, container: Container) -> bool:
    """May anything be asked of Docker for this container now?"""
    if not draft.released or task.admitted is None:
        return False
    return draft.is_sure(task.arn, container) or not container.lost


def without_doing(container: Container) -> Container:
    """The container's row, with no act on its way."""
    return replace(container, doing=(), lost=())


def do(draft: Draft, container: Container, act: ContainerDoing) -> Container:
    """Have *act* done, and say so in the row."""
    draft.acts.append(act)
    draft.hear(act.task, act.container)
    word = DOING[type(act)]
    doing = (*(d for d in container.doing if d is not word), word)
    return replace(container, doing=doing, lost=tuple(d for d in container.lost if d is not word), wake_at=None)
