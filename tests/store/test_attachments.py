import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from agent.model.attachments import Attachment, AttachmentKind
from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status
from agent.store.journal_driver import own_journal
from agent.store.rows import attachment_from, text_of
from tests.store.any_value import of
from tests.store.made_up import T0, a_report, arn
from tests.store.test_vetting import NONSENSE, prepare, put_aside, start

ONE = Attachment("one", AttachmentKind.TASK_INTERFACE, "0a:1b", T0, 1000, arn("a"))
TWO = Attachment("two", AttachmentKind.VOLUME, "vol1", T0, 1000, told=True)


def reported(one: Attachment, task: TaskArn) -> TaskReport:
    return TaskReport(task, Status.NONE, moved=True, at=T0, attachment=one.arn)


@given(of(Attachment))
def test_an_attachment_comes_back_as_it_was_written(one: Attachment) -> None:
    assert attachment_from(text_of(one)) == one


def test_attachments_are_saved_changed_and_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async with own_journal(tmp_path / "agent.db", "me") as (journal, _):
            await journal.commit(Decision(attachments=(ONE, TWO)))
            await journal.commit(Decision(attachments=(replace(ONE, told=True),), reports=(reported(ONE, arn("a")),)))
        async with own_journal(tmp_path / "agent.db", "me") as (journal, saved):
            assert saved.attachments == (replace(ONE, told=True), TWO)
            assert [row.report for row in await journal.unsent()] == [reported(ONE, arn("a"))]
            await journal.commit(Decision(detached=("one",)))
        async with own_journal(tmp_path / "agent.db", "me") as (_, saved):
            assert saved.attachments == (TWO,)

    asyncio.run(main())


def test_a_report_of_an_attachment_without_a_task_is_settled_by_its_own_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with own_journal(tmp_path / "agent.db", "me") as (journal, _):
            await journal.commit(Decision(reports=(reported(TWO, TaskArn("")),)))
            [row] = await journal.unsent()
            assert await journal.settle([row.number]) == {"two"}

    asyncio.run(main())


@pytest.mark.parametrize("row", NONSENSE.values(), ids=NONSENSE)
def test_a_bad_row_of_an_attachment_costs_that_row_alone(tmp_path: Path, row: object) -> None:
    prepare(tmp_path, Decision(attachments=(ONE, TWO)), ("UPDATE attachments SET row = ? WHERE arn = 'one'", (row,)))

    saved, _ = start(tmp_path)

    assert saved.attachments == (TWO,)
    assert put_aside(tmp_path) == ["attachments, one"]


@pytest.mark.parametrize("task", [arn("a"), TaskArn("")])
def test_an_attachment_whose_report_was_damaged_is_told_of_anew(tmp_path: Path, task: TaskArn) -> None:
    one, other = replace(ONE, told=True, task=task), TWO
    decision = Decision(attachments=(one, other), reports=(reported(one, task), a_report("b")))
    subject = task or one.arn
    prepare(tmp_path, decision, ("UPDATE outbox SET report = 'x' WHERE task = ?", (subject,)))

    saved, rows = start(tmp_path)

    assert saved.attachments == (replace(one, told=False), other)
    assert [row.report for row in rows] == [a_report("b")]


def test_a_journal_of_the_form_before_gets_its_table(tmp_path: Path) -> None:
    prepare(tmp_path, Decision(attachments=(ONE,)), ("DROP TABLE attachments", ()), ("PRAGMA user_version = 5", ()))

    saved, _ = start(tmp_path)

    assert saved.attachments == ()
    with closing(sqlite3.connect(tmp_path / "agent.db")) as rows:
        assert rows.execute("PRAGMA user_version").fetchone() == (6,)
