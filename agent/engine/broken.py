"""A bug of ours has the radius of one task.

The task is stopped by the usual road. If a bug meets it on that road as well, the task is abandoned: what runs of it is
killed, ECS hears STOPPED and why, and nothing is decided about it any more.
"""

from dataclasses import replace

from agent.engine import due, outcomes, reasons, reports, resources
from agent.engine.draft import Draft
from agent.model.acts import ContainerAct, KillContainer, PullImage, ResourceAct
from agent.model.decision import Decision
from agent.model.events import ActBroke, TaskBroke
from agent.model.names import TaskArn
from agent.model.reports import ContainerReport, TaskReport
from agent.model.status import Doing, Status
from agent.model.task import Container, Task, Tombstone


def by_act(draft: Draft, event: ActBroke) -> set[TaskArn]:
    """A bug met an act: its task breaks, or those that wait for the image."""
    match event.act:
        case PullImage(source=source):
            arns = set()
            for arn, name in draft.end_pull(source):
                if (task := draft.task(arn)) is not None:
                    draft.put(task.having(replace(task[name], doing=(), lost=())))
                    arns.add(arn)
        case ContainerAct(task=arn):
            arns = {arn}
            if arn not in draft.world.abandoned:
                with draft.about(arn):
                    outcomes.lose(draft, event.act)
        case ResourceAct(task=arn):
            arns = {arn}
            if arn not in draft.world.abandoned:
                with draft.about(arn):
                    resources.broke(draft, event.act)
        case _:
            raise RuntimeError(f"{type(event.act).__name__} broke: {event.error}")
    return {arn for task in sorted(arns) for arn in by_decision(draft, task, event.error)}


def by_decision(draft: Draft, arn: TaskArn, where: str) -> set[TaskArn]:
    """A bug met the decision about a task: it is to be stopped. Gives the tasks that are to be driven."""
    task = draft.task(arn)
    if task is None:
        _refuse(draft, arn, where)
        return set()
    if task.broken:
        abandon(draft, task, where)
        return set()
    draft.put(replace(task, broken=True, wanted=Status.STOPPED, reason=task.reason or reasons.broken(where)))
    return {arn}


def _refuse(draft: Draft, arn: TaskArn, where: str) -> None:
    """A task that broke as it came has no row: it is over, and ECS hears so when it sends it again."""
    if draft.tombstone(arn) is None:
        draft.put_tombstone(Tombstone(arn, draft.at))
        _tell(draft, arn, reports.cut(reasons.broken(where)))


def last_resort(draft: Draft, event: TaskBroke) -> Decision:
    """The usual road is closed to a broken task. Never raises for what its row may hold."""
    task = draft.task(event.task)
    try:
        if task is not None:
            abandon(draft, task, event.where)
        return draft.swap_in()
    except Exception:  # noqa: BLE001 -- the bug has been reported; its row cannot even be filed
        draft = Draft(draft.world, event.at, event.cause)
        _tell(draft, event.task, reports.cut(reasons.broken(event.where)))
        draft.afterwards(lambda world: world.abandoned.add(event.task))
        return draft.swap_in()


def abandon(draft: Draft, task: Task, where: str) -> None:
    """Kill what may run, tell ECS, and decide nothing about the task any more."""
    arn = task.arn
    draft.afterwards(lambda world: world.abandoned.add(arn))
    if arn in draft.world.abandoned:
        return
    for spec, container in task.pairs():
        draft.leave_pull(task.spec.source(spec), (arn, container.name))
    reason = task.reason or reasons.broken(where)
    if task.told is not Status.STOPPED:
        _tell(draft, arn, reports.cut(reason), tuple(c for c in task.containers if c.told is not Status.STOPPED))
    draft.put(
        replace(
            task,
            containers=tuple(_kill(draft, task, container) for container in task.containers),
            broken=True,
            known=Status.STOPPED,
            wanted=Status.STOPPED,
            told=Status.STOPPED,
            reason=reason,
            stopped_at=task.stopped_at or draft.at,
            remove_at=due.removal(task.draw, draft.at, draft.rules),
        )
    )


def _kill(draft: Draft, task: Task, container: Container) -> Container:
    doing: tuple[Doing, ...] = ()
    if container.docker_id and not container.at_rest:
        draft.acts.append(KillContainer(task.arn, container.name, container.run, container.docker_id))
        doing = (Doing.KILL,)
    return replace(
        container, known=Status.STOPPED, wanted=Status.STOPPED, told=Status.STOPPED, doing=doing, lost=(), wake_at=None
    )


def _tell(draft: Draft, arn: TaskArn, reason: str, containers: tuple[Container, ...] = ()) -> None:
    parts = tuple(ContainerReport(c.name, Status.STOPPED, c.docker_id, reason=reason) for c in containers)
    draft.report(TaskReport(arn, Status.STOPPED, moved=True, at=draft.at, reason=reason, containers=parts))
    draft.moved(arn, "", Status.NONE, Status.STOPPED, reason)
