"""What is told of attachments: in order with the rest of their task, by itself, and only while it is wanted."""

import asyncio
from pathlib import Path

from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.reports import TaskReport, Verdict
from agent.model.saved import OutboxRow
from agent.model.status import Status
from agent.model.task import Tombstone
from agent.store.journal_driver import Journal
from tests.reporter.made_up import RUNNING, STOPPED, T0, a_report, arn, aside, container, moved
from tests.reporter.scene import Scene, a_reporter
from tests.reporter.test_next_call import only, plan


def attached(task: str = "", name: str = "eni-1") -> TaskReport:
    return TaskReport(arn(task) if task else TaskArn(""), Status.NONE, moved=True, at=T0, attachment=name)


def test_an_attachment_is_a_call_of_its_own_between_those_of_its_task() -> None:
    rows = (
        aside(1, "a", RUNNING, container("web", RUNNING)),
        OutboxRow(2, attached("a")),
        moved(3, "a", RUNNING, container("db", RUNNING)),
    )

    assert only(plan(*rows, now=60.0)).rows == (1,)
    assert only(plan(*rows[1:])).rows == (2,)
    assert only(plan(*rows[1:])).frozen, "no other row ever joins it"
    assert only(plan(*rows[1:])).report == attached("a")


def test_attachments_of_no_task_wait_for_nobody() -> None:
    both = plan(OutboxRow(1, attached(name="x")), OutboxRow(2, attached(name="y")), busy=frozenset({TaskArn("x")}))

    assert [call.rows for call in both.calls] == [(2,)]


def test_an_attachment_is_told_of_until_ecs_takes_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(attached(), attached("a"), a_report("a", RUNNING))))
            scene = Scene()
            scene.verdicts, scene.hurries = [Verdict.LATER, Verdict.HELD], True
            async with a_reporter(journal, scene):
                await scene.until(lambda: len(scene.settled) == 2)
            assert scene.heard.count(attached()) + scene.heard.count(attached("a")) == 4
            assert scene.heard[-1] == a_report("a", RUNNING)
            assert await journal.unsent() == ()

    asyncio.run(main())


def test_what_nobody_asks_for_any_more_is_settled_without_a_call(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(attached("a", "late"), attached("a"), a_report("a", RUNNING))))
            scene = Scene()
            async with a_reporter(journal, scene, is_wanted=lambda name: name != "late"):
                await scene.until(lambda: len(scene.heard) == 2)
            assert scene.heard == [attached("a"), a_report("a", RUNNING)]

    asyncio.run(main())


def test_the_end_of_a_task_is_settled_though_an_attachment_of_it_is_the_last_that_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            over = Tombstone(arn("a"), T0)
            await journal.commit(Decision(reports=(a_report("a", STOPPED), attached("a")), tombstones=(over,)))
            scene = Scene()
            async with a_reporter(journal, scene):
                await scene.until(lambda: bool(scene.told))
            assert scene.ended() == [{"a"}]

    asyncio.run(main())


def test_a_task_that_has_nothing_else_to_tell_is_not_over_for_that(tmp_path: Path) -> None:
    async def main() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.commit(Decision(reports=(attached("a"), a_report("b", STOPPED))))
            scene = Scene()
            async with a_reporter(journal, scene):
                await scene.until(lambda: len(scene.settled) == 2 and bool(scene.told))
            assert scene.ended() == [{"b"}], "its end may be decided, and not in the journal yet"

    asyncio.run(main())
