"""What becomes of containers when their image comes, or does not, and when a registry has said which image it is."""

from collections.abc import Callable
from dataclasses import replace

from agent.engine import due, lifecycle
from agent.engine.draft import Draft
from agent.engine.world import Key
from agent.model.events import ActFailed, Fault, ImagePulled, ImageResolved
from agent.model.names import TaskArn
from agent.model.status import Doing, PullBehavior, Status
from agent.model.task import Container, ImageSource, Task

TRIES = 5
"""How often an image is asked for before what is on the host has to do, or the task stops."""

NEEDED = (PullBehavior.ALWAYS, PullBehavior.ONCE)
"""Behaviours under which a pull that failed stops the task, whatever is on the host."""


def resolved(draft: Draft, event: ImageResolved) -> set[TaskArn]:
    """A registry, or the host, has said which image a name means; the pull goes on."""
    pull = draft.pull(event.source)
    touched = set()
    for arn, name in sorted(pull.waiting) if pull is not None and event.digest else ():
        task = _waiting(draft, arn, name)
        if task is not None and task[name].image_digest != event.digest:
            with draft.about(arn):
                draft.put(task.having(replace(task[name], image_digest=event.digest)))
            touched.add(arn)
    return touched


def pulled(draft: Draft, event: ImagePulled) -> set[TaskArn]:
    """An image is there: all who waited for it go on."""
    return _after_pull(
        draft,
        draft.end_pull(event.source),
        lambda c: replace(
            c, known=max(c.known, Status.PULLED), tries=0, pull_reason="", image_digest=event.digest or c.image_digest
        ),
    )


def failed(draft: Draft, event: ActFailed, source: ImageSource) -> set[TaskArn]:
    """An image did not come: it is asked for again, or its containers try their luck with what is on the host.

    Where it was Docker that did not answer, no try of the registry has failed.
    """
    waiting = draft.end_pull(source)
    if event.fault is Fault.CANCELLED:
        return _after_pull(draft, waiting, lambda c: c)

    def fail(container: Container) -> Container:
        if event.fault is Fault.UNKNOWN:
            return replace(container, wake_at=draft.at + due.FIRST_WAIT)
        if event.fault is not Fault.GIVE_UP and container.tries + 1 < TRIES:
            wake_at = draft.at + due.back_off(container.tries)
            return replace(container, tries=container.tries + 1, wake_at=wake_at)
        if draft.rules.pull_behavior in NEEDED:
            return replace(container, known=Status.STOPPED, wanted=Status.STOPPED, reason=event.reason)
        return replace(container, known=max(container.known, Status.PULLED), tries=0, pull_reason=event.reason)

    return _after_pull(draft, waiting, fail)


def _after_pull(draft: Draft, waiting: frozenset[Key], change: Callable[[Container], Container]) -> set[TaskArn]:
    touched: set[TaskArn] = set()
    for arn, name in sorted(waiting):
        task = _waiting(draft, arn, name)
        if task is None:
            continue
        with draft.about(arn):
            container = change(replace(task[name], doing=(), lost=()))
            if container.known >= Status.PULLED:
                task = replace(task, pull_stopped_at=draft.at)
            draft.hear(arn, name)
            task = lifecycle.accept(draft, task, container)
            if container.known is Status.STOPPED:  # and with it the task, were it not essential
                task = replace(task, wanted=Status.STOPPED)
            draft.put(task)
        touched.add(arn)
    return touched


def _waiting(draft: Draft, arn: TaskArn, name: str) -> Task | None:
    task = draft.task(arn)
    return task if task is not None and Doing.PULL in task[name].doing else None
