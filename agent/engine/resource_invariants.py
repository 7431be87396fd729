"""What every decision keeps true of volumes, cgroups and values, and of who is admitted. For tests and debugging."""

from collections.abc import Iterator

from agent.engine.world import Snapshot
from agent.model.acts import RemoveCgroup, RemoveVolume, ResourceAct
from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.status import ResourceDoing, ResourceKind, ResourceStatus, Status
from agent.model.task import Resource, Task

Key = tuple[ResourceKind, str]
Broken = tuple[TaskArn, str, str]
"""A task, a part of it, and the rule that is broken."""

MAY_FOLLOW = {
    ResourceStatus.NONE: set(ResourceStatus),
    ResourceStatus.READY: {ResourceStatus.READY, ResourceStatus.GONE},
    ResourceStatus.FAILED: {ResourceStatus.FAILED, ResourceStatus.GONE},
    ResourceStatus.GONE: {ResourceStatus.GONE},
}


def broken(before: Snapshot, after: Snapshot, decision: Decision) -> Iterator[Broken]:
    """The rules that *decision* breaks."""
    decided: set[tuple[TaskArn, Key]] = set()
    for act in decision.acts:
        if isinstance(act, ResourceAct):
            yield from _of_act(act, after.tasks.get(act.task), decided)
            decided.add((act.task, (act.kind, act.resource)))
    for row in decision.tasks:
        old = before.tasks.get(row.arn)
        yield from _of_row(old, row, {key for arn, key in decided if arn == row.arn})


def _of_act(act: ResourceAct, task: Task | None, decided: set[tuple[TaskArn, Key]]) -> Iterator[Broken]:
    word = ResourceDoing.CLEAR if isinstance(act, RemoveCgroup | RemoveVolume) else ResourceDoing.PREPARE
    mine = _by_key(task).get((act.kind, act.resource))
    if mine is None or mine.doing is not word or mine.lost:
        yield act.task, act.kind, f"{word} is decided, and no row says so"
    if (act.task, (act.kind, act.resource)) in decided:
        yield act.task, act.kind, "one act at a time"
    if word is ResourceDoing.CLEAR and task is not None and not all(one.removed for one in task.containers):
        yield act.task, act.kind, "what containers use is cleared after them"


def _of_row(old: Task | None, new: Task, decided: set[Key]) -> Iterator[Broken]:
    known = _by_key(old)
    is_filled_in = old is not None and old.spec.rebuilt and not new.spec.rebuilt  # what was found is prepared again
    for key, resource in _by_key(new).items():
        was = known.get(key, Resource(*key))
        if resource.known not in MAY_FOLLOW[was.known] and not is_filled_in:
            yield new.arn, resource.kind, f"{resource.known} follows {was.known}"
        is_new = _is_in_flight(resource) and not (_is_in_flight(was) and was.doing is resource.doing)
        if is_new and key not in decided:
            yield new.arn, resource.kind, f"the row says {resource.doing}, and no act was decided"
    if known.keys() - _by_key(new).keys():
        yield new.arn, "", "a task keeps the record of what it had"
    if old is not None and old.admitted is not None and new.admitted != old.admitted:
        yield new.arn, "", "who is admitted stays so"
    has_begun = any(one.known not in (Status.NONE, Status.STOPPED) or one.doing for one in new.containers)
    if new.admitted is None and (has_begun or new.resources):
        yield new.arn, "", "who waits does nothing"


def _is_in_flight(resource: Resource) -> bool:
    return resource.doing is not None and not resource.lost


def _by_key(task: Task | None) -> dict[Key, Resource]:
    return {(one.kind, one.name): one for one in task.resources} if task is not None else {}
