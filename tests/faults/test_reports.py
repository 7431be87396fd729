"""Whatever becomes of calls and answers: each transition in one row, told in order, again only if its answer was lost.

The reporter and its journal are real; chance decides what ECS does, and when the process dies.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.reports import ContainerReport, TaskReport, Verdict
from agent.model.status import Status
from agent.reporter import backlog
from agent.store.journal_driver import Journal
from agent.wire import ecs
from tests.faults.ledger import Fate, Ledger
from tests.reporter.made_up import RUNNING, STOPPED, a_report, arn, container
from tests.reporter.scene import Scene, a_reporter

FATES = {
    Fate.TAKEN: Verdict.SETTLED,
    Fate.LOST: Verdict.LATER,
    Fate.UNHEARD: Verdict.LATER,
    Fate.REFUSED: Verdict.HELD,
    Fate.OPEN: None,
}
"""What the reporter learns of a call; None: nothing, for ever."""
TASKS = tuple("abc")
EXAMPLES = int(os.environ.get("DOCKWORKER_REPORTS", "30"))


class LossyEcs(Scene):
    """Keeps a ledger; what becomes of the next call is read from `fates`, and then all goes well."""

    def __init__(self, fates: list[Fate], ledger: Ledger) -> None:
        super().__init__()
        self.hurries = True
        self.fates = fates
        self.ledger = ledger

    async def submit(self, report: TaskReport) -> Verdict:
        entry = self.ledger.open(msgspec.json.encode(ecs.to_state_change(report, "demo")))
        fate = self.fates.pop(0) if self.fates else Fate.TAKEN
        verdict = FATES[fate]
        self.verdicts = [verdict]
        try:
            return await super().submit(report)
        finally:
            self.ledger.end(entry, fate if verdict is not None else Fate.LOST)


def life(name: str) -> tuple[TaskReport, ...]:
    """All that is ever to be told of a task."""

    def app(status: Status) -> ContainerReport:
        return container("app", status)

    return (
        a_report(name, RUNNING, app(RUNNING)),
        a_report(name, RUNNING, container("side", RUNNING), moved=False),
        a_report(name, RUNNING, container("side", STOPPED, exit_code=1), moved=False),
        a_report(name, STOPPED, app(STOPPED)),
    )


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="DOCKWORKER_REPORTS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    order=st.permutations([name for name in TASKS for _ in range(4)]),
    fates=st.lists(st.sampled_from([*FATES, Fate.LOST, Fate.UNHEARD]), max_size=25),
    kills=st.lists(st.integers(1, 6), max_size=3),
    together=st.integers(1, 5),
)
@example(order=["a"] * 4 + ["b"] * 4 + ["c"] * 4, fates=[Fate.TAKEN, Fate.LOST], kills=[2], together=2)
def test_whatever_ecs_does_the_ledger_is_right(
    order: list[str], fates: list[Fate], kills: list[int], together: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(tell_all(Path(folder), order, fates, kills, together))


async def tell_all(folder: Path, order: list[str], fates: list[Fate], kills: list[int], together: int) -> None:
    lives = {name: list(life(name)) for name in TASKS}
    reports = [lives[name].pop(0) for name in order]
    ledger = Ledger()
    async with Journal.open(folder / "agent.db") as journal:
        for calls in [*kills, 0]:
            scene = LossyEcs(fates, ledger)
            until = len(ledger.entries) + calls
            async with a_reporter(journal, scene, answer_within=0.05):
                while reports:  # all that is left, or so much that the rest comes after the kill
                    await journal.commit(Decision(reports=tuple(reports[:together])))
                    del reports[:together]
                    if calls:
                        break
                if calls:
                    await scene.until(until_heard(ledger, until, scene))
                else:
                    await until_empty(scene, journal)
            ledger.note_kill()
    ledger.check()
    for name in TASKS:
        assert {key for entry in ledger.taken(arn(name)) for key in entry.says} == {
            ("", "RUNNING"),
            ("", "STOPPED"),
            ("app", "RUNNING"),
            ("app", "STOPPED"),
            ("side", "RUNNING"),
            ("side", "STOPPED"),
        }


def until_heard(ledger: Ledger, number: int, scene: Scene) -> Callable[[], bool]:
    """So many calls have been made, or nothing is left to be told."""
    return lambda: len(ledger.entries) >= number or (scene.alarm is None and scene.asked_to_wait > 1)


async def until_empty(scene: Scene, journal: Journal) -> None:
    async with asyncio.timeout(20):
        while await journal.unsent():
            scene._stir.clear()
            await scene._stir.wait()


def test_a_backlog_of_any_length_is_told_in_order_with_few_rows_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window of rows at hand is scaled 1:50."""
    monkeypatch.setattr(backlog, "ROWS_AT_HAND", 20)
    names = [f"task-{number}" for number in range(100)]

    async def main() -> int:
        ledger, most = Ledger(), 0
        scene = LossyEcs([Fate.LOST, Fate.UNHEARD, Fate.REFUSED] * 10, ledger)
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=tuple(report for name in names for report in life(name))))
            async with a_reporter(journal, scene) as reporter:
                async with asyncio.timeout(20):
                    while await journal.unsent():
                        most = max(most, reporter._backlog.rows)
                        scene._stir.clear()
                        await scene._stir.wait()
        ledger.check()
        assert all(ledger.told(arn(name))[-1] == "STOPPED" for name in names)
        return most

    assert 20 <= asyncio.run(main()) <= 60


def test_a_call_that_was_sent_once_says_the_same_though_its_rows_are_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tasks' rows lie between them, more than are read at once (scaled 1:250)."""
    monkeypatch.setattr(backlog, "ROWS_AT_HAND", 4)
    (
        side,
        *_,
    ) = ("far",)

    async def main() -> None:
        ledger = Ledger()
        async with Journal.open(tmp_path / "agent.db") as journal:
            first, second = life(side)[1], a_report(side, STOPPED, container("app", STOPPED))
            between = [a_report(f"other-{number}", RUNNING, container("app", RUNNING)) for number in range(12)]
            await journal.commit(Decision(reports=(first, *between, second)))
            rows = [row.number for row in await journal.unsent() if row.report.task == arn(side)]
            await journal.freeze(rows, rows[-1])
            async with a_reporter(journal, scene := LossyEcs([], ledger)):
                await until_empty(scene, journal)
        (entry,) = ledger.of(arn(side))
        assert list(entry.says) == [("", "STOPPED"), ("side", "RUNNING"), ("app", "STOPPED")]

    asyncio.run(main())


def test_tasks_that_ecs_holds_back_keep_no_others_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there are rows at hand (scaled 1:250)."""
    monkeypatch.setattr(backlog, "ROWS_AT_HAND", 4)

    class Picky(Scene):
        async def submit(self, report: TaskReport) -> Verdict:
            self.verdicts = [Verdict.HELD if "held" in report.task else Verdict.SETTLED]
            return await super().submit(report)

    async def main() -> None:
        scene = Picky()
        scene.hurries = True
        async with Journal.open(tmp_path / "agent.db") as journal:
            held = [a_report(f"held-{number}", RUNNING, container("app", RUNNING)) for number in range(9)]
            await journal.commit(Decision(reports=(*held, a_report("free", RUNNING, container("app", RUNNING)))))
            async with a_reporter(journal, scene):
                await scene.until(lambda: any(report.task == TaskArn(arn("free")) for report in scene.heard))

    asyncio.run(main())


def test_a_call_whose_time_is_over_this_very_moment_harms_nobody_when_ecs_answers_another(tmp_path: Path) -> None:
    async def main() -> None:
        ledger = Ledger()
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(life("a")[0],)))
            scene = LossyEcs([Fate.OPEN], ledger)
            async with a_reporter(journal, scene) as reporter:
                await scene.until(lambda: bool(scene.in_flight))
                (limit,) = reporter._asking
                limit.reschedule(asyncio.get_running_loop().time())
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(asyncio.get_running_loop().time()):
                        await asyncio.Event().wait()  # until what was due before has passed, too
                assert limit.expired()
                reporter.flush()
                await until_empty(scene, journal)

    asyncio.run(main())
