"""A journal whose disk fails: the agent goes on with every row, and after a kill it has every one that was saved.

The disk's errors are SQLite's own where that can be had (a file that may not grow, a lock that somebody holds, a file
that is gone or damaged), and planted beneath SQLite's interface where chance is to play.
"""

import asyncio
import random
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.decision import Decision
from agent.model.identity import Identity
from agent.model.status import Status
from agent.store import mirror_db
from agent.store.db import KEPT_ASIDE, set_aside
from agent.store.journal_driver import Journal, own_journal, peek_identity
from tests.store.made_up import T0, a_report, a_task
from tests.store.test_journal_driver import files_no_larger_than

LARGE = "x" * 300_000


def live(folder: Path, use: Callable[[Journal], Awaitable[None]]) -> None:
    async def main() -> None:
        async with (
            own_journal(folder / "agent.db", "one", clock=lambda: T0) as (journal, _),
            asyncio.TaskGroup() as jobs,
        ):
            running = jobs.create_task(journal.run())
            await use(journal)
            running.cancel()

    asyncio.run(main())


def numbered(count: int, reason: str = "") -> Decision:
    return Decision(tasks=(a_task("a", seq=count, reason=reason),), reports=(a_report("a", reason=str(count)),))


def on_disk(folder: Path) -> tuple[int, list[str]]:
    """The newest state of the task in the file, and the reports, in order."""
    with closing(sqlite3.connect(folder / "agent.db", isolation_level=None)) as file:
        file.execute("BEGIN")  # both questions are to see the same moment
        (seq,) = file.execute("SELECT json_extract(row, '$.seq') FROM tasks").fetchone() or (0,)
        question = "SELECT json_extract(report, '$.reason') FROM outbox ORDER BY number"
        return seq, [str(reason) for (reason,) in file.execute(question)]


def test_what_a_full_disk_does_not_take_is_in_memory_and_reaches_it_when_there_is_room(tmp_path: Path) -> None:
    said: list[str] = []

    async def use(journal: Journal) -> None:
        journal.tell(said.append)
        await journal.commit(numbered(1))
        await journal.saved()
        with files_no_larger_than(150_000):
            await journal.commit(numbered(2, LARGE))
            saved = asyncio.ensure_future(journal.saved())
            await journal.commit(numbered(3, LARGE))
            assert [row.report.reason for row in await journal.unsent()] == ["1", "2", "3"]
            assert journal.lack
            assert not saved.done()
            assert on_disk(tmp_path) == (1, ["1"])
        async with asyncio.timeout(5):
            await saved
        assert journal.is_durable
        assert on_disk(tmp_path) == (3, ["1", "2", "3"])

    live(tmp_path, use)

    assert said[-1] == ""
    assert all("agent.db" in one for one in said if one)


def test_a_disk_that_does_not_answer_holds_a_change_up_for_two_seconds_once(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        with closing(sqlite3.connect(tmp_path / "agent.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # SQLite waits for whoever holds this, as for a disk that hangs
            began = asyncio.get_running_loop().time()
            await journal.commit(numbered(1))
            await journal.commit(numbered(2))
            assert 1.9 <= asyncio.get_running_loop().time() - began <= 4
            assert journal.lack.startswith("DiskSlow: ")
            other.execute("ROLLBACK")
        async with asyncio.timeout(10):
            await journal.saved()
        assert on_disk(tmp_path) == (2, ["1", "2"])

    live(tmp_path, use)


def test_a_file_that_is_gone_or_turns_to_noise_under_the_agent_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"

    async def use(journal: Journal) -> None:
        await journal.commit(numbered(1))
        for name in ("agent.db", "agent.db-wal", "agent.db-shm"):
            (tmp_path / name).write_bytes(random.Random(name).randbytes(100_000))
        await journal.commit(numbered(2))
        if journal.is_durable:  # what SQLite holds in memory may have spared it a look at the file
            await journal._rows.catch_up()
        async with asyncio.timeout(10):
            await journal.saved()
        assert on_disk(tmp_path) == (2, ["1", "2"])

        for name in ("agent.db", "agent.db-wal", "agent.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.mkdir()
        assert await journal._rows.catch_up()
        assert on_disk(tmp_path) == (2, ["1", "2"])

    live(tmp_path, use)

    assert list(tmp_path.glob("agent.db.aside-*"))


def test_a_change_that_is_on_its_way_to_the_disk_at_the_end_and_fails_there_is_written_still(tmp_path: Path) -> None:
    go = threading.Event()

    def refuses(change: Callable[[sqlite3.Connection], object]) -> str:
        assert go.wait(10)
        return "DiskFailed: disk I/O error"

    async def main() -> None:
        async with own_journal(tmp_path / "agent.db", "one", clock=lambda: T0) as (journal, _):
            await journal.commit(numbered(1))
            journal._rows.lack = "DiskFailed: it was lost, and is being caught up"  # so nobody waits for the disk
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(journal._rows._disk), "write", lambda _, change: refuses(change))
                await journal.commit(numbered(2))
            journal._rows.lack = ""
            asyncio.get_running_loop().call_soon(go.set)

    asyncio.run(main())

    assert on_disk(tmp_path) == (2, ["1", "2"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), commits=st.integers(1, 12))
def test_whatever_the_disk_refuses_no_row_is_lost_and_no_report_out_of_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int, commits: int
) -> None:
    """After each commit the file holds some earlier state whole, and after `saved` never an older one than that."""
    chance, folder = random.Random(seed), tmp_path_factory.mktemp("chance")
    states = [(count, [str(one) for one in range(1, count + 1)]) for count in range(commits + 1)]

    async def use(journal: Journal) -> None:
        disk = journal._rows._disk
        write, safe = disk.write, 0
        committing: list[asyncio.Future[None]] = []

        def fails(change: Callable[[sqlite3.Connection], object]) -> str:
            def half(connection: sqlite3.Connection) -> None:
                change(connection)
                raise sqlite3.OperationalError("disk I/O error")

            return write(half if chance.random() < 0.4 else change)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(disk), "write", lambda _, change: fails(change))
            for count in range(1, commits + 1):
                committing.append(asyncio.ensure_future(journal.commit(numbered(count))))
                await asyncio.sleep(0)  # it is on its way
                if count < commits and chance.random() < 0.5:
                    continue  # another beside it
                if chance.random() < 0.3:
                    await journal._rows.catch_up()
                await asyncio.gather(*committing)
                assert [row.report.reason for row in await journal.unsent()] == states[count][1]
                assert (await journal.load()).tasks[0].seq == count
                if chance.random() < 0.5:
                    await asyncio.wait_for(journal.saved(), 5)
                    safe = count
                held = on_disk(folder)
                assert held in states
                assert held[0] >= safe

    live(folder, use)
    assert on_disk(folder) == states[commits]


def test_a_file_that_could_not_be_read_for_a_while_is_set_aside_whole_and_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def before(journal: Journal) -> None:
        await journal.commit(numbered(1))

    def failing(*_: object) -> NoReturn:
        raise OSError("disk I/O error")

    async def after(journal: Journal) -> None:
        monkeypatch.undo()
        assert journal.lack
        await journal.commit(numbered(2))
        async with asyncio.timeout(5):
            await journal.saved()

    live(tmp_path, before)
    for name in ("open_file", "look"):
        monkeypatch.setattr(mirror_db, name, failing)
    live(tmp_path, after)

    (aside,) = (one for one in tmp_path.glob("agent.db.aside-*") if not one.name.endswith(("-wal", "-shm")))
    with closing(sqlite3.connect(aside)) as file:
        assert file.execute("SELECT json_extract(row, '$.seq') FROM tasks").fetchall() == [(1,)]
    assert on_disk(tmp_path) == (2, ["2"])


def test_behind_a_disk_that_hangs_no_changes_line_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_db, "PATIENCE", 0.05)
    monkeypatch.setattr(mirror_db, "TRY_AGAIN", 0.01)
    hanging = threading.Event()

    async def use(journal: Journal) -> None:
        mirror = journal._rows
        mirror._file.submit(hanging.wait)
        try:
            for number in range(1, 50):
                await journal.commit(numbered(number))
                await asyncio.sleep(0.001)
            assert mirror._under_way == 1, "the one that was given up"
        finally:
            hanging.set()
        async with asyncio.timeout(5):
            await journal.saved()

    live(tmp_path, use)

    assert on_disk(tmp_path) == (49, [str(number) for number in range(1, 50)])


def test_behind_a_disk_that_hangs_while_it_catches_up_only_so_many_changes_line_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_db, "MOST_UNDER_WAY", 10)
    monkeypatch.setattr(mirror_db, "TRY_AGAIN", 0.01)
    hanging, arrived = threading.Event(), threading.Event()
    catch_up = mirror_db._Disk.catch_up

    def hangs(disk: mirror_db._Disk, rows: Future[sqlite3.Connection]) -> str:
        arrived.set()
        hanging.wait()
        return catch_up(disk, rows)

    monkeypatch.setattr(mirror_db._Disk, "catch_up", hangs)
    said: list[str] = []

    async def use(journal: Journal) -> None:
        mirror = journal._rows
        journal.tell(said.append)
        mirror._lose("DiskFull: no room", mirror._attempt)
        await asyncio.to_thread(arrived.wait)
        try:
            for number in range(1, 50):
                await journal.commit(numbered(number))
            assert mirror._under_way == 10
            assert journal.lack.startswith("DiskSlow: ")
            assert "10 changes wait" in journal.lack
            saved = asyncio.ensure_future(journal.saved())
            await asyncio.sleep(0)
            assert not saved.done()
        finally:
            hanging.set()
        async with asyncio.timeout(5):
            await saved
        assert journal.is_durable
        assert on_disk(tmp_path) == (49, [str(number) for number in range(1, 50)])

    live(tmp_path, use)

    assert said[-1] == ""
    assert said.count("") == 1, "it is not called whole before it has everything"


def test_the_first_file_that_was_set_aside_and_the_latest_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for count in range(KEPT_ASIDE + 4):
        path.write_text(str(count))
        set_aside(path, T0)

    kept = sorted(int(one.read_text()) for one in tmp_path.iterdir())
    assert kept == [0, *range(5, KEPT_ASIDE + 4)]


def test_the_identity_can_be_read_from_a_journal_that_nobody_has_open(tmp_path: Path) -> None:
    path, identity = tmp_path / "agent.db", Identity("one", "default", "arn:of-it")

    async def keep(journal: Journal) -> None:
        await journal.keep_identity(identity)
        await journal.commit(Decision(tasks=(a_task(known=Status.RUNNING),)))

    live(tmp_path, keep)
    before = path.read_bytes()

    assert asyncio.run(peek_identity(path)) == identity
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["agent.db"]
    for content in (b"", b"noise" * 2000, before[: len(before) // 2], before.replace(b"arn:of-it", b"arn:\xff\xfe-it")):
        path.write_bytes(content)
        assert asyncio.run(peek_identity(path)) is None
    path.unlink()
    assert asyncio.run(peek_identity(path)) is None
