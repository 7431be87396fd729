"""What waits to be told, and what keeps it waiting. Plain state, owned by the loop; the truth is in the outbox."""

from collections.abc import Iterable
from dataclasses import replace

from agent.model.names import TaskArn
from agent.model.saved import OutboxRow
from agent.reporter.next_call import Call, Plan, Waiting, next_calls
from agent.reporter.pause import FIRST, Pause

ROWS_AT_HAND = 1000
"""Rows that may be sent soon. The rest stays on the disk: ECS may be away for days."""
ROWS_IN_ALL = 20 * ROWS_AT_HAND
"""Rows of tasks that ECS holds back are no reason to let others wait, up to here."""


class Backlog:
    """Each task's unsettled rows in order, the calls in flight, and the pauses. Moments are on the monotonic clock."""

    def __init__(self) -> None:
        self.last_read = 0
        """The highest number of a row that was added."""
        self._queues: dict[TaskArn, list[Waiting]] = {}
        self._busy: set[TaskArn] = set()
        self._held: dict[TaskArn, Pause] = {}
        self._pause = Pause()

    def add(self, rows: Iterable[OutboxRow], now: float) -> None:
        """Take in rows that were read from the outbox, in order."""
        for row in rows:
            self._queues.setdefault(row.report.subject, []).append(Waiting(row, now))
            self.last_read = row.number

    @property
    def has_room(self) -> bool:
        """May more rows be read from the outbox?"""
        held = {task for task, pause in self._held.items() if pause.tries}
        at_hand = sum(len(queue) for task, queue in self._queues.items() if task not in held)
        return at_hand < ROWS_AT_HAND and self.rows < ROWS_IN_ALL

    @property
    def rows(self) -> int:
        """How many rows are in memory."""
        return sum(len(queue) for queue in self._queues.values())

    def start(self, now: float) -> Plan:
        """The calls that leave now; until `end`, they are in flight."""
        held = {task: pause.until for task, pause in self._held.items()}
        plan = next_calls(self._queues, now, self._busy, held, self._pause.until)
        self._busy.update(call.report.subject for call in plan.calls)
        return plan

    def end(self, call: Call) -> None:
        """The call is in flight no more, whatever came of it."""
        self._busy.discard(call.report.subject)

    def freeze(self, call: Call) -> None:
        """The outbox has bound the rows of *call* together."""
        queue = self._queues[call.report.subject]
        for place in range(len(call.rows)):
            queue[place] = replace(queue[place], row=replace(queue[place].row, call=call.number))

    def settle(self, call: Call) -> None:
        """The outbox has forgotten the rows of *call*."""
        task = call.report.subject
        del self._queues[task][: len(call.rows)]
        if not self._queues[task]:
            del self._queues[task]
        self._held.pop(task, None)

    def hold(self, task: TaskArn, now: float, draw: float) -> None:
        """Let this task's reports wait, longer each time, and no other's."""
        self._held[task] = self._held.get(task, Pause()).longer(now, draw)

    def pause(self, task: TaskArn, now: float, draw: float, began: float) -> None:
        """ECS does not take reports: let all wait, longer each time.

        The wait counts from when the call *began*: one that was not answered has waited already.
        Calls that were under way together and fail together are one failure. The task itself waits a second even if
        the pause is ended by another's success: a report that ECS always stumbles over must not become a storm.
        """
        if now >= self._pause.until:
            self._pause = self._pause.longer(began, draw)
        self._held[task] = replace(self._held.get(task, Pause()), until=now + FIRST)

    def is_paused(self, now: float) -> bool:
        """Do all reports wait, because ECS does not take them?"""
        return self._pause.until > now

    def resume(self) -> None:
        """ECS answers again: nothing waits for the pause any more."""
        self._pause = Pause()
