"""The runner notices that the wall clock was set, and nothing is due earlier or later for it."""

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from agent.engine.engine import Engine
from agent.model.clock import Reading, Steps, stamped_anew
from agent.model.decision import Decision
from agent.model.events import ClockStepped, DeadlinePassed, Event
from agent.model.names import TaskArn
from agent.model.rules import Rules
from agent.model.task import Tombstone
from agent.runner.loop import Runner
from tests.runner.test_loop import ASSIGNED, LISTED, GatedJournal, Script, obliging

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOTH = pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["forth", "back"])


@dataclass
class Clocks:
    """A wall clock that can be set, and one that cannot."""

    seconds: float = 0.0
    offset: timedelta = timedelta()

    def wall(self) -> datetime:
        return T0 + timedelta(seconds=self.seconds) + self.offset

    def monotonic(self) -> float:
        return self.seconds


@BOTH
def test_a_step_is_told_from_time_that_passes(by: timedelta) -> None:
    clocks = Clocks()
    steps = Steps(clocks.wall, clocks.monotonic)
    clocks.seconds = 5000.0
    assert steps.look() == (T0 + timedelta(seconds=5000), timedelta())
    clocks.offset = by
    clocks.seconds += 3
    assert steps.look() == (T0 + timedelta(seconds=5003) + by, by)
    assert steps.look()[1] == timedelta()
    clocks.offset += timedelta(seconds=1)
    assert steps.look()[1] == timedelta(), "two clocks differ by as much without anybody having set one"


def test_a_process_that_was_held_between_two_readings_reads_again() -> None:
    held = [0.0, 7.0, 7.0, 7.0]  # the wall clock was read before the pause, or after it: nobody knows

    def monotonic() -> float:
        return held.pop(0) if len(held) > 1 else held[0]

    steps = Steps(lambda: T0 + timedelta(seconds=7), monotonic)
    assert steps.look()[1] == timedelta()


@BOTH
def test_stamps_from_before_the_step_are_set_along_with_it(by: timedelta) -> None:
    now = T0 + by
    assert stamped_anew(T0 - timedelta(seconds=2), now, by) == now - timedelta(seconds=2)
    assert stamped_anew(now - timedelta(seconds=2), now, by) == now - timedelta(seconds=2)


@BOTH
def test_a_step_is_decided_before_what_comes_after_it_and_nothing_is_due_for_it(by: timedelta) -> None:
    decided: list[Event] = []
    clocks = Clocks()
    stone = Tombstone(TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/00"), T0, T0 + timedelta(minutes=10))

    class Noting(Engine):
        def decide(self, event: Event) -> Decision:
            decided.append(event)
            return super().decide(event)

    async def whole() -> None:
        engine, journal = Noting(Rules(), (), (stone,)), GatedJournal()
        runner = Runner(engine, journal, clock=clocks.wall, monotonic=clocks.monotonic, after_commit=lambda _: None)
        running = asyncio.create_task(runner.run(Script(obliging)))
        await runner.submit(LISTED)
        assert engine.next_deadline() == stone.until
        clocks.offset = by
        await runner.submit(LISTED)
        assert [type(event).__name__ for event in decided] == ["Listed", "ClockStepped", "Listed"]
        assert decided[1] == ClockStepped(by, T0 + by)
        assert decided[2].at == T0 + by, "it was stamped before the step"
        assert engine.next_deadline() == T0 + timedelta(minutes=10) + by
        assert journal.commits[-1].tombstones[0].until == T0 + timedelta(minutes=10) + by
        clocks.seconds = 599.0
        await runner.submit()
        assert not any(isinstance(event, DeadlinePassed) for event in decided)
        clocks.seconds = 601.0
        await runner.submit()
        assert isinstance(decided[-1], DeadlinePassed)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())


@dataclass
class Kept:
    """What one process keeps for the next."""

    reading: Reading | None = None
    writes: int = 0
    is_written: threading.Event = field(default_factory=threading.Event)

    def read(self) -> Reading | None:
        return self.reading

    def write(self, reading: Reading) -> None:
        self.reading, self.writes = reading, self.writes + 1
        self.is_written.set()

    async def until_written(self) -> None:
        assert await asyncio.to_thread(self.is_written.wait, 5)
        self.is_written.clear()


@BOTH
def test_a_step_while_no_agent_runs_is_noticed_by_the_next_one(by: timedelta) -> None:
    """Ten minutes of a tombstone's time: some pass in one process, some while none runs."""
    clocks, kept = Clocks(seconds=1000.0), Kept()
    stone = Tombstone(
        TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/00"), T0, clocks.wall() + timedelta(minutes=10)
    )

    async def one_life(stones: tuple[Tombstone, ...], journal: GatedJournal) -> Engine:
        engine = Engine(Rules(), (), stones)
        runner = Runner(
            engine,
            journal,
            clock=clocks.wall,
            monotonic=clocks.monotonic,
            after_commit=lambda _: None,
            clocks=kept,
        )
        running = asyncio.create_task(runner.run(Script(obliging)))
        await runner.submit(LISTED)
        await kept.until_written()
        clocks.seconds += 180.0
        await runner.submit(LISTED)
        await kept.until_written()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return engine

    first = asyncio.run(one_life((stone,), GatedJournal()))
    assert kept.writes == 2
    clocks.seconds += 200.0
    clocks.offset = by
    second = asyncio.run(one_life(tuple(first.snapshot().tombstones.values()), GatedJournal()))
    left = second.snapshot().tombstones[stone.arn].until
    assert left == T0 + timedelta(seconds=1600) + by, "it is ten minutes after the beginning, as time has passed"
    assert kept.reading == Reading(clocks.wall(), clocks.seconds)


def test_while_the_disk_is_behind_the_look_stays_that_of_the_rows_there() -> None:
    clocks, kept, journal = Clocks(), Kept(), GatedJournal()

    async def whole() -> None:
        runner = Runner(
            Engine(Rules()),
            journal,
            clock=clocks.wall,
            monotonic=clocks.monotonic,
            after_commit=lambda _: None,
            clocks=kept,
        )
        running = asyncio.create_task(runner.run(Script(obliging)))
        journal.disk.clear()
        await runner.submit(LISTED)
        assert kept.writes == 0
        journal.disk.set()
        await runner.submit(LISTED)
        await kept.until_written()
        await runner.submit(LISTED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert kept.writes == 1

    asyncio.run(whole())


def test_a_clock_that_is_set_back_while_the_runner_falls_asleep_is_noticed_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is due in a moment would else be due in an hour. The bound of two seconds is scaled 1:10."""
    monkeypatch.setattr("agent.runner.loop.LOOK_AT_CLOCK", 0.2)

    async def whole() -> None:
        clocks, gone = Clocks(), asyncio.Event()
        began = asyncio.get_running_loop().time()
        arn = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/00")

        def monotonic() -> float:
            clocks.seconds = asyncio.get_running_loop().time() - began
            return clocks.seconds

        def committed(decision: Decision) -> None:
            clocks.offset = -HOUR  # after the look at the clocks, before the wait
            if decision.buried:
                gone.set()

        engine = Engine(Rules(), (), (Tombstone(arn, T0, T0 + timedelta(seconds=0.5)),))
        runner = Runner(engine, GatedJournal(), clock=clocks.wall, monotonic=monotonic, after_commit=committed)
        running = asyncio.create_task(runner.run(Script(lambda _: None)))
        await runner.submit(LISTED, ASSIGNED)
        async with asyncio.timeout(2):
            await gone.wait()
        assert monotonic() >= 0.5
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())
