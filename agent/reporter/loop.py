"""Empties the outbox: reads what waits, tells ECS, and says when a task's end is told.

Nothing is kept here that is not on disk. A call that is cut off leaves its rows frozen, and goes out again with the
same content after the next start.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from agent.model.clock import Clock, utc_now
from agent.model.events import ReportsSettled
from agent.model.names import TaskArn, task_id
from agent.model.reports import TaskReport, Verdict
from agent.model.saved import OutboxRow
from agent.model.status import Status
from agent.reporter import backlog
from agent.reporter.backlog import Backlog
from agent.reporter.next_call import Call
from agent.reporter.pause import Pause
from agent.reporter.ports import Engine, Outbox, StateChanges

log = structlog.get_logger()

ANSWER_WITHIN = 30.0
"""Seconds after which a call counts as failed. It is as long as the longest pause: so often ECS is asked at least."""
HURRY_TO, HURRY_WITHIN = 3.0, 2.0
"""Seconds that a call is given in all, and from now on, once ECS answers others: it may hang from before."""

Wait = Callable[[asyncio.Event, float | None], Awaitable[None]]
"""Waits for an event, at most so many seconds; None waits for good."""


async def wait_for(event: asyncio.Event, seconds: float | None) -> None:
    """Return when *event* is set or *seconds* have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Reporter:
    """Owns the sending of reports: one job for each call, ten at most, and one that tells the engine."""

    def __init__(  # noqa: PLR0913 -- time and chance among them
        self,
        outbox: Outbox,
        state_changes: StateChanges,
        engine: Engine,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Wait = wait_for,
        draw: Callable[[], float] = random.random,
        answer_within: float = ANSWER_WITHIN,
        is_wanted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """*is_wanted* says of an attachment whether ECS still asks for it."""
        self._outbox = outbox
        self._state_changes = state_changes
        self._engine = engine
        self._clock = clock
        self._monotonic = monotonic
        self._wait = wait
        self._draw = draw
        self._answer_within = answer_within
        self._is_wanted = is_wanted
        self._backlog = Backlog()
        self._reading = Pause()
        self._unread = True
        self._recalled = False
        self._news = asyncio.Event()
        self._asking: dict[asyncio.Timeout, float] = {}
        """The limits of the calls in flight, and when each began, on the loop's clock."""
        self._ended: set[TaskArn] = set()
        self._ended_news = asyncio.Event()
        self.answers: Counter[str] = Counter()
        """How ECS answered, and how often."""

    async def run(self) -> None:
        """Tell ECS everything that the outbox holds and will hold, until cancelled. Raises only for a bug."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._listen(), name="outbox")
            jobs.create_task(self._tell_engine(), name="reports-settled")
            while True:
                await self._read()
                plan = self._backlog.start(self._monotonic())
                for call in plan.calls:
                    jobs.create_task(self._send(call), name=f"report-{call.number}")
                await self._wait(self._news, self._seconds_to(plan.wake_at))
                self._news.clear()

    def flush(self) -> None:
        """ECS answers: end the pause, and send what waits for it."""
        self._backlog.resume()
        self._news.set()
        now = asyncio.get_running_loop().time()
        for limit, began in self._asking.items():
            when = limit.when()
            if when is not None and not limit.expired():
                limit.reschedule(min(when, max(began + HURRY_TO, now + HURRY_WITHIN)))

    @property
    def is_refused(self) -> bool:
        """Does ECS take no reports at the moment, so that they wait for a pause to end?"""
        return self._backlog.is_paused(self._monotonic())

    async def is_done(self) -> bool:
        """Has ECS been told all that the outbox holds? Raises OSError."""
        return not await self._outbox.unsent()

    def _seconds_to(self, wake_at: float | None) -> float | None:
        moments = [wake_at, self._reading.until if self._unread and self._backlog.has_room else None]
        waits = [max(0.0, moment - self._monotonic()) for moment in moments if moment is not None]
        return min(waits, default=None)

    async def _listen(self) -> None:
        while True:
            await self._outbox.changed()
            self._unread = True
            self._news.set()

    async def _read(self) -> None:
        """Take in what is new in the outbox, as far as there is room. A disk that does not answer is asked later."""
        if not self._unread or self._monotonic() < self._reading.until or not self._backlog.has_room:
            return
        self._unread = False
        try:
            if not self._recalled:  # what an earlier process did not come to say
                self._end(await self._outbox.all_told())
                self._recalled = True
            rows = await self._unsent()
        except OSError as error:
            self._unread = True
            self._reading = self._reading.longer(self._monotonic(), self._draw())
            log.error("outbox_not_read", error=str(error))  # noqa: TRY400 - the disk's word, no bug of ours
            return
        self._reading = Pause()
        self._backlog.add(rows, self._monotonic())

    async def _unsent(self) -> tuple[OutboxRow, ...]:
        """The next rows, and with the first of a call that was sent once all others of it: it must say the same."""
        rows = page = await self._outbox.unsent(self._backlog.last_read, backlog.ROWS_AT_HAND)
        while len(page) == backlog.ROWS_AT_HAND and max(row.call for row in rows) > page[-1].number:
            page = await self._outbox.unsent(page[-1].number, backlog.ROWS_AT_HAND)
            rows += page
        self._unread |= len(page) == backlog.ROWS_AT_HAND
        return rows

    async def _send(self, call: Call) -> None:
        """One call from the outbox to ECS and back."""
        try:
            if call.report.attachment and not self._is_wanted(call.report.attachment):
                log.warning("report_too_late", **_named(call.report))
                await self._settle(call)
            elif await self._freeze(call):
                began = self._monotonic()
                await self._obey(call, await self._ask(call.report), began)
        finally:
            self._backlog.end(call)
            self._news.set()

    async def _freeze(self, call: Call) -> bool:
        if call.frozen:
            return True
        try:
            await self._outbox.freeze(call.rows, call.number)
        except OSError as error:
            self._distrust(call, error)
            return False
        self._backlog.freeze(call)
        return True

    async def _ask(self, report: TaskReport) -> Verdict:
        began = asyncio.get_running_loop().time()
        limit = asyncio.timeout(self._answer_within)
        try:
            async with limit:
                self._asking[limit] = began
                return await self._state_changes.submit(report)
        except TimeoutError:
            seconds = asyncio.get_running_loop().time() - began
            log.warning("report_unanswered", **_named(report), seconds=round(seconds, 3))
            return Verdict.LATER
        finally:
            self._asking.pop(limit, None)

    async def _obey(self, call: Call, verdict: Verdict, began: float) -> None:
        """Do what ECS's answer asks."""
        now, task = self._monotonic(), call.report.subject
        self.answers[verdict] += 1
        match verdict:
            case Verdict.SETTLED:
                log.info("report_settled", **_named(call.report))
                self.flush()
                await self._settle(call)
            case Verdict.REFUSED:
                log.error("report_refused", **_named(call.report), reason=call.report.reason)
                await self._settle(call)
            case Verdict.HELD:
                log.warning("report_held", **_named(call.report))
                self._backlog.hold(task, now, self._draw())
            case Verdict.LATER:
                log.warning("report_delayed", **_named(call.report))
                self._backlog.pause(task, now, self._draw(), began)

    async def _settle(self, call: Call) -> None:
        try:
            quiet = await self._outbox.settle(call.rows)
            if call.report.attachment:  # the end of its task may be decided, and not in the outbox yet
                quiet &= await self._outbox.all_told()
        except OSError as error:  # told once more, then: ECS records a repetition once
            self._distrust(call, error)
            return
        self._backlog.settle(call)
        if call.report.status is Status.STOPPED or call.report.attachment:  # the end may have been told before it
            self._end(quiet)

    def _distrust(self, call: Call, error: OSError) -> None:
        log.error("outbox_not_written", **_named(call.report), error=str(error))
        self._backlog.hold(call.report.subject, self._monotonic(), self._draw())

    def _end(self, tasks: frozenset[TaskArn]) -> None:
        if tasks:
            self._ended |= tasks
            self._ended_news.set()

    async def _tell_engine(self) -> None:
        """Ends that come while the engine commits are told together."""
        while True:
            await self._ended_news.wait()
            self._ended_news.clear()
            tasks, self._ended = frozenset(self._ended), set()
            await self._engine.submit(ReportsSettled(tasks, self._clock()))


def _named(report: TaskReport) -> dict[str, object]:
    """What a log line says of a report."""
    if report.attachment:
        return {"task": task_id(report.task), "attachment": report.attachment}
    containers = [f"{container.name} {container.status.told}" for container in report.containers]
    return {"task": task_id(report.task), "status": report.status.told, "containers": containers}
