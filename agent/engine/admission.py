"""Who may begin: a task waits while the host lacks what it takes.

The queue is in order of arrival. The first who does not fit is its head. A later task passes the head exactly when the
head would still fit beside it once everything that is stopping has ended; so nobody is kept from starting by those who
came later, and room that the head cannot use is not left empty.

`admit` runs at the end of every decision. It looks at the queue whenever a decision has changed what is held, what is
about to end, who waits, or which GPUs there are; there is no other moment at which somebody could be let in.

As long as nobody knows which GPUs there are, tasks that ask for any wait beside the queue: it will not be for long, and
those behind them need not wait for that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import merge

from agent.engine import pressure, reasons
from agent.engine.amounts import Amounts, Holding, Standing, Sums
from agent.engine.draft import Draft
from agent.model.names import TaskArn
from agent.model.rules import Rules
from agent.model.status import Status

Changes = Mapping[TaskArn, Holding | None]
"""The holdings that a decision has changed."""


def admit(draft: Draft) -> set[TaskArn]:
    """Let in whoever may begin, and stop whoever never could; gives those who are to be driven.

    Before the first listing nobody is let in: tasks that are not in the journal may turn up in it, and run.
    """
    if not draft.listed:
        return set()
    changes, for_all = draft.holdings(), draft.has_news_of_gpus or not draft.world.listed
    if not changes and not for_all:
        return set()
    new = [arn for arn, holding in changes.items() if holding is not None and holding.standing is Standing.WAITS]
    hopeless = _stop_the_hopeless(draft, changes, [*draft.world.waiting, *new] if for_all else new)
    return hopeless | _let_in(draft, changes, hopeless)


def _stop_the_hopeless(draft: Draft, changes: Changes, arns: list[TaskArn]) -> set[TaskArn]:
    stopped = set()
    for arn in arns:
        task, holding = draft.task(arn), _holding(draft, changes, arn)
        if task is None or holding is None or holding.standing is not Standing.WAITS:
            continue
        if lack := _lack(holding.amounts, draft.rules) or pressure.why_not(draft, task):
            draft.put(replace(task, wanted=Status.STOPPED, reason=task.reason or lack))
            stopped.add(arn)
    return stopped


def _let_in(draft: Draft, changes: Changes, hopeless: set[TaskArn]) -> set[TaskArn]:
    queue = _queue(draft, changes)
    if next(queue, None) is None:
        return set()
    held, later = _sums(draft, changes)
    head: Amounts | None = None
    let_in = set()
    for arn in _queue(draft, changes):
        task, holding = draft.task(arn), _holding(draft, changes, arn)
        if task is None or holding is None or arn in hopeless:
            continue
        amounts = holding.amounts
        if amounts.gpus and draft.rules.gpus is None:
            continue
        if not held.has_room(amounts, draft.rules):
            head = head or amounts
            if not later.has_room(head, draft.rules):
                break  # it waits for tasks that are not even stopping: nobody passes it
            continue
        later.add(amounts)
        if head is not None and not later.has_room(head, draft.rules):
            later.add(amounts, -1)
            continue
        held.add(amounts)
        draft.put(replace(task, admitted=draft.at))
        let_in.add(arn)
    return let_in


def _queue(draft: Draft, changes: Changes) -> Iterator[TaskArn]:
    """Those who wait, in order, as this decision has them."""
    known = (place for place in draft.world.queue if place[-1] not in changes)
    new = []
    for arn, holding in changes.items():
        task = draft.task(arn)
        if task is not None and holding is not None and holding.standing is Standing.WAITS:
            new.append(draft.world.waiting.get(arn) or draft.world.place(task))
    return (place[-1] for place in merge(known, sorted(new)))


def _holding(draft: Draft, changes: Changes, arn: TaskArn) -> Holding | None:
    return changes[arn] if arn in changes else draft.world.holdings.get(arn)


def _sums(draft: Draft, changes: Changes) -> tuple[Sums, Sums]:
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
    if rules.gpus is not None and (unknown := sorted(amounts.gpus - rules.gpus)):
        return reasons.no_such_gpu(unknown[0])
    return ""
