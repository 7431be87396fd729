"""A reporter on a real journal, with an ECS that answers as it is told and a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.model.decision import Decision
from agent.model.events import Event, ReportsSettled
from agent.model.names import TaskArn
from agent.model.reports import TaskReport, Verdict
from agent.model.saved import OutboxRow
from agent.reporter.loop import Reporter
from agent.store.journal_driver import Journal
from tests.reporter.made_up import T0


class Scene:
    """What the reporter meets, and what it did."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarm: float | None = None
        """When the reporter asked to be woken; None if it waits for news alone."""
        self.asked_to_wait = 0
        self.verdicts: list[Verdict | None] = []
        """The next answers of ECS; None never comes. After the last, everything is settled."""
        self.heard: list[TaskReport] = []
        self.in_flight: list[TaskArn] = []
        self.most_in_flight = 0
        self.open = asyncio.Event()
        self.open.set()
        self.settled: list[TaskArn] = []
        """Tasks of which the outbox had nothing left, as it said so."""
        self.disk_fails: set[str] = set()
        """Methods of the outbox that fail once."""
        self.hurries = False
        """True if time jumps to whatever the reporter waits for."""
        self.told: list[ReportsSettled] = []
        self.engine_asked = 0
        self.engine_listens = asyncio.Event()
        self.engine_listens.set()
        self._news: asyncio.Event | None = None
        self._stir = asyncio.Event()

    async def until(self, come_true: Callable[[], bool]) -> None:
        """Return when *come_true* holds; looks whenever something has happened."""
        async with asyncio.timeout(10):
            while not come_true():
                self._stir.clear()
                await self._stir.wait()

    def stir(self) -> None:
        """Something has happened."""
        self._stir.set()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        if self._news is not None and self.alarm is not None and self.now >= self.alarm:
            self._news.set()

    def monotonic(self) -> float:
        return self.now

    async def wait(self, news: asyncio.Event, seconds: float | None) -> None:
        self._news, self.alarm = news, None if seconds is None else self.now + seconds
        self.asked_to_wait += 1
        self.stir()
        if self.hurries and seconds is not None:
            self.now += seconds
            await asyncio.sleep(0)
        else:
            await news.wait()
        self._news = None

    async def submit(self, report: TaskReport) -> Verdict:
        """ECS."""
        assert report.subject not in self.in_flight
        self.heard.append(report)
        self.in_flight.append(report.subject)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        verdict = self.verdicts.pop(0) if self.verdicts else Verdict.SETTLED
        self.stir()
        try:
            await self.open.wait()
            if verdict is None:
                await asyncio.Event().wait()
            assert verdict is not None
            return verdict
        finally:
            self.in_flight.remove(report.subject)
            self.stir()

    def said(self) -> list[tuple[str, str]]:
        """What ECS heard: task and state."""
        return [(report.task.rpartition("/")[2], report.status.told) for report in self.heard]

    def ended(self) -> list[set[str]]:
        """What the engine heard: tasks whose end is told."""
        return [{task.rpartition("/")[2] for task in event.tasks} for event in self.told]


class Ears:
    """The engine, as the reporter sees it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def submit(self, *events: Event) -> None:
        self._scene.engine_asked += 1
        self._scene.stir()
        await self._scene.engine_listens.wait()
        self._scene.told.extend(event for event in events if isinstance(event, ReportsSettled))
        self._scene.stir()


class Disk:
    """The journal's outbox, on a disk that fails when the scene says so."""

    def __init__(self, journal: Journal, scene: Scene) -> None:
        self._journal = journal
        self._scene = scene

    def _touch(self, method: str) -> None:
        if method in self._scene.disk_fails:
            self._scene.disk_fails.remove(method)
            raise OSError(f"cannot {method}: no space left")

    async def unsent(self, after: int = 0, most: int = -1) -> tuple[OutboxRow, ...]:
        self._touch("unsent")
        return await self._journal.unsent(after, most)

    async def all_told(self) -> frozenset[TaskArn]:
        self._touch("all_told")
        return await self._journal.all_told()

    async def freeze(self, numbers: Iterable[int], call: int) -> None:
        self._touch("freeze")
        await self._journal.freeze(numbers, call)

    async def settle(self, numbers: Iterable[int]) -> frozenset[TaskArn]:
        self._touch("settle")
        quiet = await self._journal.settle(numbers)
        self._scene.settled.extend(quiet)
        self._scene.stir()
        return quiet

    async def changed(self) -> None:
        await self._journal.changed()


@asynccontextmanager
async def a_reporter(
    journal: Journal, scene: Scene, *, answer_within: float = 60.0, is_wanted: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[Reporter]:
    """A running reporter. Leaving cuts it off where it stands, as a crash would."""
    reporter = Reporter(
        Disk(journal, scene),
        scene,
        Ears(scene),
        clock=lambda: T0,
        monotonic=scene.monotonic,
        wait=scene.wait,
        draw=lambda: 0.0,
        answer_within=answer_within,
        is_wanted=is_wanted,
    )
    job = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        job.cancel()
        await asyncio.wait([job])
        if not job.cancelled():
            job.result()


@asynccontextmanager
async def a_scene(folder: Path, reports: Sequence[TaskReport] = ()) -> AsyncIterator[tuple[Journal, Scene, Reporter]]:
    """All of it, with *reports* in the outbox before the reporter starts."""
    async with Journal.open(folder / "agent.db") as journal:
        await journal.commit(Decision(reports=tuple(reports)))
        scene = Scene()
        async with a_reporter(journal, scene) as reporter:
            yield journal, scene, reporter
