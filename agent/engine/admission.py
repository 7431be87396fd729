"""Who may begin: a task waits while the host lacks what it takes.

The queue is in order of arrival. The first who does not fit is its head. A later task passes the head exactly when the
head would still fit beside it once everything that is stopping has ended; so nobody is kept from starting by those who
came later, and room that the head cannot use is not left empty.

`admit` runs at the end of every decision. It looks at the queue whenever a decision has changed what is held, what is
about to end, or who waits; there is no other moment at which somebody could be let in.
"""

from dataclasses import replace

from agent.engine import reasons
from agent.engine.amounts import Amounts, Holding, Standing, Sums
from agent.engine.draft import Draft
from agent.model.names import TaskArn
from agent.model.rules import Rules
from agent.model.status import Status
from agent.model.task import Task


def admit(draft: Draft) -> set[TaskArn]:
    """Let in whoever may begin, and stop whoever never could; gives those who are to be driven.

    Before the first listing nobody is let in: tasks that are not in the journal may turn up in it, and run.
    """
    if not draft.listed:
        return set()
    changes = draft.holdings()
    if not changes and draft.world.listed:
        return set()
    queue = _queue(draft, changes)
    return _let_in(draft, changes, queue) if queue else set()


def _queue(draft: Draft, changes: dict[TaskArn, Holding | None]) -> list[tuple[Task, Amounts]]:
    waiting = []
    for arn in draft.world.waiting | dict.fromkeys(changes):
        holding = changes[arn] if arn in changes else draft.world.holdings[arn]
        task = draft.task(arn)
        if task is not None and holding is not None and holding.standing is Standing.WAITS:
            waiting.append((task, holding.amounts))
    return sorted(waiting, key=lambda one: (one[0].arrived, one[0].seq))


def _let_in(draft: Draft, changes: dict[TaskArn, Holding | None], queue: list[tuple[Task, Amounts]]) -> set[TaskArn]:
    held, later = _sums(draft, changes)
    head: Amounts | None = None
    touched = set()
    for task, amounts in queue:
        with draft.about(task.arn):
            if lack := _lack(amounts, draft.rules):
                draft.put(replace(task, wanted=Status.STOPPED, reason=task.reason or lack))
                touched.add(task.arn)
                continue
            if not held.has_room(amounts, draft.rules):
                head = head or amounts
                continue
            later.add(amounts)
            if head is not None and not later.has_room(head, draft.rules):
                later.add(amounts, -1)
                continue
            held.add(amounts)
            draft.put(replace(task, admitted=draft.at))
            touched.add(task.arn)
    return touched


def _sums(draft: Draft, changes: dict[TaskArn, Holding | None]) -> tuple[Sums, Sums]:
    """What is held now, and what will still be held once everything that is stopping has ended."""
    held, ending = draft.world.held.copy(), draft.world.ending.copy()
    for arn, after in changes.items():
        for holding, times in ((draft.world.holdings.get(arn), -1), (after, 1)):
            if holding is not None and holding.holds:
                held.add(holding.amounts, times)
            if holding is not None and holding.standing is Standing.ENDS:
                ending.add(holding.amounts, times)
    later = held.copy()
    later.cpu, later.memory = held.cpu - ending.cpu, held.memory - ending.memory
    later.ports, later.gpus = held.ports - ending.ports, held.gpus - ending.gpus
    return held, later


def _lack(amounts: Amounts, rules: Rules) -> str:
    """Why a task would not fit though the host were empty; ``""`` if it would."""
    if rules.cpu is not None and amounts.cpu > rules.cpu:
        return reasons.too_large("CPU units", amounts.cpu, rules.cpu)
    if rules.memory is not None and amounts.memory > rules.memory:
        return reasons.too_large("MiB of memory", amounts.memory, rules.memory)
    if unknown := sorted(amounts.gpus - rules.gpus):
        return reasons.no_such_gpu(unknown[0])
    return ""
