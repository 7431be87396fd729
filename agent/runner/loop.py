"""The one road: decide, commit, perform.

Events that wait are drained together, decided in order, and committed in one transaction; only then do those who
brought them hear of it, and only then does Docker hear of the acts. Where the disk fails, the journal goes on in
memory: no stop, restart or report waits for the disk, but whoever asked for it to be saved does.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from agent.engine.draft import TaskIsBroken
from agent.engine.engine import Engine
from agent.model.acts import Act, CreateCgroup, CreateVolume, RemoveContainer
from agent.model.clock import Clock, Reading, Steps, stamped_anew
from agent.model.decision import Decision
from agent.model.errors import place_of
from agent.model.events import ActBroke, ClockStepped, DeadlinePassed, Event, TaskBroke
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.runner import story
from agent.runner.ports import Journal

log = structlog.get_logger()

LONGEST_TURN = 0.01
"""Seconds of deciding after which others go first."""
MOST_BREAKS = 2
"""The engine promises that one event breaks no task more often; if it does, only a new process can help."""
KEEP_CLOCK_EVERY = 60.0
"""Seconds after which the last look at the clocks is kept anew: a clock that is corrected bit by bit is no step."""
LOOK_AT_CLOCK = 2.0
"""Seconds for which a wall clock that was set may go unnoticed while something is due."""


class KeepsClock(Protocol):
    """Keeps the last look at the clocks for the next process. May block; raises nothing."""

    def read(self) -> Reading | None:
        """What was kept since the machine was started, if anything."""
        ...

    def write(self, reading: Reading) -> None:
        """Keep it."""
        ...


class Performs(Protocol):
    """Does acts: the Performer, or whoever stands for it."""

    async def perform(self, act: Act) -> Event | None:
        """Do *act*; gives its outcome, or None for an act that has none of its own."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    events: tuple[Event, ...]
    committed: asyncio.Future[None] | None = None
    """Who brought them waits here, if anybody does."""


class Runner:
    """Owns the inbox, and every act that is in flight. `note` hears of each event what it came to."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        after_commit: Callable[[Decision], None],
        note: Callable[[Event, Decision], None] = story.tell,
        clocks: KeepsClock | None = None,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._steps = Steps(clock, monotonic)
        self._monotonic = monotonic
        self._clocks = clocks
        self._keep_clock_at = 0.0
        self._keeping: asyncio.Task[None] | None = None
        self._after_commit = after_commit
        self._note = note
        self._inbox: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._kept = Decision()
        self._uncommitted: list[asyncio.Future[None]] = []
        self.busy_since: float | None = None
        """Since when a batch is being decided and committed, on the monotonic clock; None between two."""
        self._not_begun_on_disk: set[TaskArn] = set()
        """Tasks that have run, or ended, of which the disk says that they are still to begin."""

    async def submit(self, *events: Event) -> None:
        """Return when *events* are decided, and what they came to is in the journal: a failing disk holds up nobody."""
        committed = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Waiting(events, committed))
        await committed

    async def save(self, *events: Event) -> None:
        """Return when *events* are decided, and the disk has what they came to: after that, no crash can undo it."""
        await self.submit(*events)
        await self._journal.saved()

    @property
    def waiting(self) -> int:
        """How many wait to have something decided."""
        return self._inbox.qsize()

    def post(self, *events: Event) -> None:
        """Have *events* decided, without waiting for it."""
        self._inbox.put_nowait(_Waiting(events))

    async def run(self, performer: Performs) -> None:
        """Run for ever. A bug that belongs to no task ends it."""
        await self._go_on_with_clock()
        async with asyncio.TaskGroup() as jobs:
            while True:
                batch = await self._drain()
                self.busy_since = self._monotonic()
                await self._hear(batch)
                decided, self._kept = self._kept, Decision()
                await self._commit(decided)
                self.busy_since = None
                self._keep_clock(jobs)
                for act in decided.acts:
                    jobs.create_task(self._do(performer, act), name=type(act).__name__)

    async def _go_on_with_clock(self) -> None:
        """Notice a step that was made while no agent ran. A disk that does not say so in time is not waited for."""
        if self._clocks is None:
            return
        try:
            async with asyncio.timeout(LOOK_AT_CLOCK):
                last = await asyncio.to_thread(self._clocks.read)
        except TimeoutError:
            return
        if last is not None and last.seconds <= self._monotonic():
            self._steps.last = last

    def _keep_clock(self, jobs: asyncio.TaskGroup) -> None:
        """Keep the last look, once the disk has what it came to: rows and look stay of one and the same clock."""
        if self._clocks is None or not self._journal.is_durable or self._monotonic() < self._keep_clock_at:
            return
        if self._keeping is not None and not self._keeping.done():
            return  # a disk that hangs
        self._keep_clock_at = self._monotonic() + KEEP_CLOCK_EVERY
        self._keeping = jobs.create_task(asyncio.to_thread(self._clocks.write, self._steps.last), name="clock")

    async def _drain(self) -> list[_Waiting]:
        deadline = self._engine.next_deadline()
        delay = None if deadline is None else min(LOOK_AT_CLOCK, max(0.0, (deadline - self._clock()).total_seconds()))
        batch = []
        try:
            async with asyncio.timeout(delay):
                batch.append(await self._inbox.get())
        except TimeoutError:
            pass  # a deadline
        while not self._inbox.empty():
            batch.append(self._inbox.get_nowait())
        return batch

    async def _hear(self, batch: list[_Waiting]) -> None:
        """Decide what waits; before it, that the wall clock was set, and after it, that something is due.

        Others go first every now and then: a hundred tasks that move at once keep no heartbeat waiting.
        """
        now, step = self._steps.look()
        if step:
            log.warning("clock_stepped", seconds=round(step.total_seconds(), 3))
            self._keep_clock_at = 0.0
            self._keep(ClockStepped(step, now))
        began = time.monotonic()
        for waiting in batch:
            if waiting.committed is not None:
                self._uncommitted.append(waiting.committed)
            for event in waiting.events:
                if time.monotonic() - began > LONGEST_TURN:
                    await asyncio.sleep(0)
                    began = time.monotonic()
                self._keep(replace(event, at=stamped_anew(event.at, now, step)) if step else event)
        deadline = self._engine.next_deadline()
        if deadline is not None and deadline <= now:
            self._keep(DeadlinePassed(now))

    def _keep(self, event: Event) -> None:
        self._kept = self._kept.then(self._decide(event))

    def _decide(self, event: Event) -> Decision:
        decision, breaks = Decision(), Counter[TaskArn]()
        while True:
            try:
                latest = self._engine.decide(event)
            except TaskIsBroken as bug:
                met = bug.__cause__ or bug
                log.error("task_broke", task=story.short(bug.arn), cause=event.cause, **story.of_bug(met))  # noqa: TRY400
                broke = TaskBroke(bug.arn, place_of(met), event.at, event.cause)
                breaks[bug.arn] += 1
                if isinstance(event, TaskBroke) or breaks[bug.arn] > MOST_BREAKS:
                    raise
                decision = decision.then(self._decide(broke))
                continue
            self._note(event, latest)
            return decision.then(latest)

    def _is_young(self, arn: TaskArn) -> bool:
        task = self._engine.tasks.get(arn)
        return task is not None and task.known < Status.RUNNING

    async def _commit(self, decided: Decision) -> None:
        if not decided.changes_nothing:
            await self._journal.commit(decided)
            self._compare_with_disk(decided)
            self._after_commit(decided)
        for committed in self._uncommitted:
            if not committed.done():
                committed.set_result(None)
        self._uncommitted.clear()

    def _compare_with_disk(self, decided: Decision) -> None:
        if self._journal.is_durable:
            self._not_begun_on_disk.clear()
            return
        of_tasks = (move for move in decided.moves if not move.container)
        self._not_begun_on_disk |= {move.task for move in of_tasks if move.before < Status.RUNNING <= move.now}

    async def _do(self, performer: Performs, act: Act) -> None:
        if isinstance(act, CreateVolume | CreateCgroup) and self._is_young(act.task):
            await self._journal.saved()  # if its row were lost, nothing would lead back from these to the task
        if isinstance(act, RemoveContainer) and act.task in self._not_begun_on_disk:
            await self._journal.saved()  # after a kill, nothing but the container would say that the task has run
        try:
            outcome = await performer.perform(act)
        except Exception as bug:  # noqa: BLE001 -- a bug has the radius of one task
            log.error("act_broke", act=story.of_act(act), **story.of_bug(bug))  # noqa: TRY400
            outcome = ActBroke(act, place_of(bug), self._clock(), "bug")
        if outcome is not None:
            self.post(outcome)
