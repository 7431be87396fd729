import asyncio
import resource
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.credentials import RoleCredentials
from agent.model.decision import Decision
from agent.model.names import TaskArn
from agent.model.saved import Saved
from agent.model.status import Status
from agent.model.task import Task, Tombstone
from agent.reporter import ports as reporter_ports
from agent.runner import ports as runner_ports
from agent.store.db import Unreadable
from agent.store.journal_driver import Journal, own_journal
from tests.store.made_up import T0, a_report, a_stone, a_task, arn

T = TypeVar("T")


def with_journal(folder: Path, use: Callable[[Journal], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Journal.open(folder / "agent.db") as journal:
            return await use(journal)

    return asyncio.run(main())


def commit(folder: Path, *decisions: Decision) -> None:
    async def use(journal: Journal) -> None:
        for decision in decisions:
            await journal.commit(decision)

    with_journal(folder, use)


def load(folder: Path) -> Saved:
    return with_journal(folder, lambda journal: journal.load())


def test_the_journal_is_what_its_loops_ask_for(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        for_the_runner: runner_ports.Journal = journal
        for_the_reporter: reporter_ports.Outbox = journal
        assert await for_the_runner.load() == Saved()
        assert await for_the_reporter.unsent() == ()

    with_journal(tmp_path, use)


def test_rows_come_back_in_the_order_in_which_they_were_first_written(tmp_path: Path) -> None:
    later = a_task("b", known=Status.RUNNING)

    commit(tmp_path, Decision(tasks=(a_task("b"), a_task("a"))), Decision(tasks=(later,), tombstones=(a_stone("c"),)))

    assert load(tmp_path) == Saved(tasks=(later, a_task("a")), tombstones=(a_stone("c"),))


def test_a_forgotten_task_leaves_its_tombstone_until_that_is_dropped(tmp_path: Path) -> None:
    commit(tmp_path, Decision(tasks=(a_task(),)), Decision(forgotten=(arn("a"),), tombstones=(a_stone(),)))
    assert load(tmp_path) == Saved(tombstones=(a_stone(),))

    commit(tmp_path, Decision(buried=(arn("a"),)))
    assert load(tmp_path) == Saved()


def test_a_decision_that_changes_nothing_needs_no_disk(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        other = sqlite3.connect(tmp_path / "agent.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # nobody else can write now
        await journal.commit(Decision())
        other.close()

    with_journal(tmp_path, use)


names = st.sampled_from("abc")


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Any decision that names a task either for writing or for forgetting."""
    written = draw(st.dictionaries(names, st.sampled_from(Status), max_size=3))
    entombed = draw(st.dictionaries(names, st.booleans(), max_size=3))
    return Decision(
        tasks=tuple(a_task(name, known=known) for name, known in written.items()),
        forgotten=tuple(arn(name) for name in draw(st.sets(names)) if name not in written),
        tombstones=tuple(replace(a_stone(name), refused=refused) for name, refused in entombed.items()),
        buried=tuple(arn(name) for name in draw(st.sets(names)) if name not in entombed),
        reports=tuple(a_report(name) for name in draw(st.lists(names, max_size=2))),
    )


def rows_after(saved: dict[TaskArn, Task], stones: dict[TaskArn, Tombstone], decision: Decision) -> None:
    """The rule, in five lines of Python."""
    for gone in decision.forgotten:
        saved.pop(gone, None)
    for gone in decision.buried:
        stones.pop(gone, None)
    saved.update({task.arn: task for task in decision.tasks})
    stones.update({stone.arn: stone for stone in decision.tombstones})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(decisions(), min_size=1, max_size=5))
def test_decisions_committed_one_by_one_or_merged_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, history: list[Decision]
) -> None:
    before = Decision(tasks=(a_task("a"), a_task("b")), tombstones=(a_stone("b"), a_stone("c")))
    tasks: dict[TaskArn, Task] = {}
    stones: dict[TaskArn, Tombstone] = {}
    rows_after(tasks, stones, before)
    merged = Decision()
    for decision in history:
        rows_after(tasks, stones, decision)
        merged = merged.then(decision)
    reports = [report for decision in history for report in decision.reports]

    for committed in (history, [merged]):
        folder = tmp_path_factory.mktemp("journal")
        commit(folder, before, *committed)
        saved = load(folder)
        assert {task.arn: task for task in saved.tasks} == tasks
        assert {stone.arn: stone for stone in saved.tombstones} == stones
        assert [row.report for row in with_journal(folder, lambda journal: journal.unsent())] == reports


def test_a_task_forgotten_before_its_tombstone_changed_stays_forgotten_when_merged(tmp_path: Path) -> None:
    dated = replace(a_stone("a"), until=T0)
    merged = Decision(forgotten=(arn("a"),), tombstones=(a_stone("a"),)).then(Decision(tombstones=(dated,)))

    commit(tmp_path, Decision(tasks=(a_task("a"),)), merged)

    assert load(tmp_path) == Saved(tombstones=(dated,))


def test_a_tombstone_dropped_before_its_task_came_again_stays_dropped_when_merged(tmp_path: Path) -> None:
    merged = Decision(buried=(arn("a"),)).then(Decision(tasks=(a_task("a"),)))

    commit(tmp_path, Decision(tombstones=(a_stone("a"),)), merged)

    assert load(tmp_path) == Saved(tasks=(a_task("a"),))


def test_unsent_reports_keep_their_order_and_their_numbers_are_never_used_twice(tmp_path: Path) -> None:
    running, stopped = a_report("a"), a_report("a", Status.STOPPED)

    async def use(journal: Journal) -> None:
        await journal.commit(Decision(reports=(running, a_report("b"))))
        first, second = await journal.unsent()
        assert (first.report, second.report) == (running, a_report("b"))
        await journal.settle([first.number, second.number])
        await journal.commit(Decision(reports=(stopped,)))
        (third,) = await journal.unsent()
        assert third.number > second.number
        assert await journal.unsent(after=third.number) == ()

    with_journal(tmp_path, use)


def test_a_frozen_row_keeps_its_call_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    async def freeze(journal: Journal) -> None:
        await journal.commit(Decision(reports=(a_report("a", moved=False), a_report("a"), a_report("b"))))
        await journal.freeze([1, 2], call=2)

    with_journal(tmp_path, freeze)

    assert [row.call for row in with_journal(tmp_path, lambda journal: journal.unsent())] == [2, 2, 0]


def test_settling_the_last_row_of_a_task_says_so(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.commit(Decision(reports=(a_report("a"), a_report("b"), a_report("a", Status.STOPPED))))
        assert await journal.settle([1, 2]) == {arn("b")}
        assert await journal.settle([3]) == {arn("a")}
        assert await journal.settle([3]) == frozenset()

    with_journal(tmp_path, use)


def test_a_task_whose_end_is_settled_is_all_told_until_its_row_says_so(tmp_path: Path) -> None:
    ended = a_task("a", told=Status.STOPPED)
    quiet = a_task("b", told=Status.RUNNING)
    known_settled = a_task("c", told=Status.STOPPED, settled=True)
    stone, old_stone = a_stone("d"), replace(a_stone("e"), until=T0)

    async def use(journal: Journal) -> None:
        await journal.commit(Decision(tasks=(ended, quiet, known_settled), tombstones=(stone, old_stone)))
        assert await journal.all_told() == {ended.arn, stone.arn}
        await journal.commit(Decision(reports=(a_report("a"), a_report("d"))))
        assert await journal.all_told() == frozenset()

    with_journal(tmp_path, use)


def test_the_listener_wakes_once_for_reports_and_not_for_rows(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        listener = asyncio.create_task(journal.changed())
        await journal.commit(Decision(tasks=(a_task(),)))
        assert not listener.done()
        await journal.commit(Decision(reports=(a_report(),)))
        await asyncio.wait_for(listener, 10)
        again = asyncio.create_task(journal.changed())
        await journal.commit(Decision(tasks=(a_task(),)))
        assert not again.done()
        again.cancel()

    with_journal(tmp_path, use)


def test_a_commit_that_came_before_the_listener_is_not_missed(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await journal.commit(Decision(reports=(a_report(),)))
        await asyncio.wait_for(journal.changed(), 10)

    with_journal(tmp_path, use)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The operating system refuses to let this process's files grow: what a full disk does to a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("large", ["task", "report"])
def test_a_disk_that_takes_no_more_leaves_the_rows_whole_and_the_next_commit_works(tmp_path: Path, large: str) -> None:
    reason = "x" * 300_000
    changed = a_task("a", known=Status.RUNNING, reason=reason if large == "task" else "")
    report = a_report("a", reason=reason if large == "report" else "")
    both = Decision(tasks=(changed,), reports=(report,))

    async def use(journal: Journal) -> None:
        await journal.commit(Decision(tasks=(a_task("a"),)))
        with files_no_larger_than(150_000):
            await journal.commit(both)
            assert not journal.is_durable
            assert await journal.load() == Saved(tasks=(changed,))
            with sqlite3.connect(tmp_path / "agent.db") as disk:
                assert disk.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
            disk.close()
            assert not await journal._rows.catch_up()
        assert await journal._rows.catch_up()
        assert journal.is_durable

    with_journal(tmp_path, use)

    assert load(tmp_path) == Saved(tasks=(changed,))
    assert [row.report for row in with_journal(tmp_path, lambda journal: journal.unsent())] == [report]


def test_a_row_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    async def spoil(journal: Journal) -> None:
        await journal.commit(Decision(tasks=(a_task(),)))
        await journal._rows.write(lambda connection: connection.execute("UPDATE tasks SET row = '{}'").close())

    with_journal(tmp_path, spoil)

    with pytest.raises(Unreadable, match=f"cannot read a row of tasks, {arn('a')}: .*missing required field `spec`"):
        load(tmp_path)


def test_the_values_of_credentials_are_in_no_file(tmp_path: Path) -> None:
    secret = RoleCredentials(
        credentials_id="id-of-a",
        role_arn="arn:aws:iam::123456789012:role/r",
        role_type="TaskApplication",
        expiration="2026-01-15T18:00:00Z",
        access_key_id="PLANTED-ACCESS-KEY",
        secret_access_key="PLANTED-SECRET-KEY",
        session_token="PLANTED-TOKEN",
    )
    task = a_task("a", reason=f"cannot assume: {secret}")

    async def use(journal: Journal) -> dict[str, bytes]:
        await journal.commit(Decision(tasks=(task,), reports=(a_report(reason=str(secret)),)))
        return await journal._rows.read(lambda _: {path.name: path.read_bytes() for path in tmp_path.iterdir()})

    files = with_journal(tmp_path, use)

    assert any(b"id-of-a" in content for content in files.values())
    assert not [name for name, content in files.items() if b"PLANTED" in content]


def loaded_by(folder: Path, agent: str) -> Saved:
    """What an agent finds when it starts in *folder*."""

    async def main() -> Saved:
        async with own_journal(folder / "agent.db", agent, clock=lambda: T0) as (journal, saved):
            assert await journal.load() == saved
            await journal.commit(Decision(tombstones=(a_stone(agent),)))
            return saved

    return asyncio.run(main())


def test_an_agent_finds_its_own_journal_again(tmp_path: Path) -> None:
    commit(tmp_path, Decision(tasks=(a_task(),)))

    assert loaded_by(tmp_path, "one").tasks == (a_task(),)
    assert loaded_by(tmp_path, "one") == Saved(tasks=(a_task(),), tombstones=(a_stone("one"),))
    assert [path.name for path in tmp_path.iterdir()] == ["agent.db"]


def test_the_journal_of_another_agent_is_set_aside_whole(tmp_path: Path) -> None:
    loaded_by(tmp_path, "one")

    assert loaded_by(tmp_path, "two") == Saved()
    assert loaded_by(tmp_path, "two") == Saved(tombstones=(a_stone("two"),))
    (aside,) = tmp_path.glob("agent.db.aside-*")
    aside.rename(tmp_path / "agent.db")
    assert loaded_by(tmp_path, "one") == Saved(tombstones=(a_stone("one"),))


def test_a_file_that_is_no_journal_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"not a database" * 1000)

    assert loaded_by(tmp_path, "one") == Saved()
    assert [path.read_bytes()[:14] for path in tmp_path.glob("agent.db.aside-*")] == [b"not a database"]


def test_what_goes_wrong_while_a_journal_is_used_sets_nothing_aside(tmp_path: Path) -> None:
    async def main() -> None:
        async with own_journal(tmp_path / "agent.db", "one"):
            raise Unreadable("somebody else's")

    with pytest.raises(Unreadable, match="somebody else's"):
        asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["agent.db"]
