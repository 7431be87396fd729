"""Single rows that make no sense: each costs itself, and nothing that is not told or found anew."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from agent.model.decision import Decision
from agent.model.saved import OutboxRow, Saved
from agent.model.status import Status
from agent.store.journal_driver import Journal, own_journal
from tests.store.made_up import T0, a_report, a_stone, a_task, arn

T = TypeVar("T")


def started(folder: Path, use: Callable[[Journal], Awaitable[T]]) -> tuple[Saved, T]:
    async def main() -> tuple[Saved, T]:
        async with own_journal(folder / "agent.db", "one", clock=lambda: T0) as (journal, saved):
            return saved, await use(journal)

    return asyncio.run(main())


def start(folder: Path) -> tuple[Saved, tuple[OutboxRow, ...]]:
    """What an agent finds when it starts in *folder*."""
    return started(folder, lambda journal: journal.unsent())


def prepare(folder: Path, decision: Decision, *spoil: tuple[str, tuple[object, ...]]) -> None:
    started(folder, lambda journal: journal.commit(decision))
    with closing(sqlite3.connect(folder / "agent.db", isolation_level=None)) as rows:
        for statement, values in spoil:
            rows.execute(statement, values)


def put_aside(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "agent.db")) as rows:
        return [place for (place,) in rows.execute("SELECT place FROM aside ORDER BY rowid")]


TELLING = {"told": Status.RUNNING, "known": Status.RUNNING}
NONSENSE = {
    "empty": b"",
    "no JSON": b"\x00\xff\xfe",
    "another's": b"[1]",
    "no text": b'{"spec": {"arn": "\xff"}, "task": "\xff", "arn": "\xff"}',
    "half of it": b'{"spec": {"arn": "x", "fam',
    "a number": 17,
}


@pytest.mark.parametrize("row", NONSENSE.values(), ids=NONSENSE)
def test_a_bad_row_of_a_task_costs_that_row_alone(tmp_path: Path, row: object) -> None:
    decision = Decision(tasks=(a_task("a"), a_task("b")), reports=(a_report("a"), a_report("b")))
    prepare(tmp_path, decision, ("UPDATE tasks SET row = ? WHERE arn = ?", (row, arn("a"))))

    saved, unsent = start(tmp_path)

    assert saved == Saved(tasks=(a_task("b"),))
    assert [one.report.task for one in unsent] == [arn("a"), arn("b")]
    assert put_aside(tmp_path) == [f"tasks, {arn('a')}"]
    assert not list(tmp_path.glob("agent.db.aside-*"))
    assert start(tmp_path) == (saved, unsent)


@pytest.mark.parametrize("field", ["known", "wanted", "told"])
def test_a_word_that_this_program_does_not_know_makes_a_row_bad(tmp_path: Path, field: str) -> None:
    spoil = (f"UPDATE tasks SET row = json_set(row, '$.{field}', 'PURGED') WHERE arn = ?", (arn("a"),))
    prepare(tmp_path, Decision(tasks=(a_task("a", known=Status.RUNNING), a_task("b"))), spoil)

    assert start(tmp_path)[0] == Saved(tasks=(a_task("b"),))


def test_a_row_under_the_name_of_another_task_is_bad(tmp_path: Path) -> None:
    spoil = ("UPDATE tasks SET arn = ? WHERE arn = ?", (arn("z"), arn("a")))
    prepare(tmp_path, Decision(tasks=(a_task("a"), a_task("b"))), spoil)

    assert start(tmp_path)[0] == Saved(tasks=(a_task("b"),))


def test_a_task_outlives_the_tombstone_beside_it_even_if_its_own_row_is_bad(tmp_path: Path) -> None:
    """A tombstone would have what runs removed as the rest of a task that is over."""
    decision = Decision(tasks=(a_task("a"), a_task("b")), tombstones=(a_stone("a"), a_stone("b"), a_stone("c")))
    prepare(tmp_path, decision, ("UPDATE tasks SET row = 'x' WHERE arn = ?", (arn("b"),)))

    assert start(tmp_path)[0] == Saved(tasks=(a_task("a"),), tombstones=(a_stone("c"),))


@pytest.mark.parametrize("row", NONSENSE.values(), ids=NONSENSE)
def test_a_bad_report_has_its_task_told_from_the_beginning_and_holds_up_no_other(tmp_path: Path, row: object) -> None:
    container = replace(a_task().containers[0], told=Status.RUNNING, known=Status.RUNNING)
    told = a_task("a", containers=(container,), known=Status.RUNNING, told=Status.RUNNING)
    untold = replace(told, containers=(replace(container, told=Status.NONE),), told=Status.NONE)
    decision = Decision(tasks=(told,), reports=(a_report("a"), a_report("b")))
    prepare(tmp_path, decision, ("UPDATE outbox SET report = ?, call = 'x' WHERE number = 1", (row,)))

    saved, unsent = start(tmp_path)

    assert saved == Saved(tasks=(untold,))
    assert [(one.number, one.report.task) for one in unsent] == [(2, arn("b"))]
    assert put_aside(tmp_path) == [f"outbox, {arn('a')}"]


def test_the_end_of_a_task_is_told_even_if_its_report_is_bad_and_only_a_tombstone_is_left(tmp_path: Path) -> None:
    decision = Decision(tombstones=(a_stone("a"),), reports=(a_report("a", Status.STOPPED),))
    prepare(tmp_path, decision, ("UPDATE outbox SET report = '{}'", ()))

    saved, (row,) = start(tmp_path)

    assert saved == Saved(tombstones=(a_stone("a"),))
    assert (row.report.task, row.report.status, row.report.moved) == (arn("a"), Status.STOPPED, True)
    assert "was damaged on the disk of its host" in row.report.reason


def test_a_report_of_a_task_that_nobody_knows_is_told_all_the_same(tmp_path: Path) -> None:
    prepare(tmp_path, Decision(reports=(a_report("nobody"),)))

    assert [row.report for row in start(tmp_path)[1]] == [a_report("nobody")]


def test_what_was_put_aside_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.store.vetting.MOST_ASIDE", 3)
    for name in "abcde":
        prepare(tmp_path, Decision(tasks=(a_task(name),)), ("UPDATE tasks SET row = 'x'", ()))
        assert start(tmp_path)[0] == Saved()

    assert put_aside(tmp_path) == [f"tasks, {arn(name)}" for name in "cde"]
