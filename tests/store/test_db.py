import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from agent.store.db import Database, Step, Unreadable, set_aside, statements

T = TypeVar("T")

NOTES = Step("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT NOT NULL);")
T0 = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def with_database(path: Path, use: Callable[[Database], Awaitable[T]], steps: Sequence[Step] = (NOTES,)) -> T:
    async def main() -> T:
        async with Database.open(path, steps) as database:
            return await use(database)

    return asyncio.run(main())


def add(text: str) -> Callable[[sqlite3.Connection], None]:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))

    return change


def texts(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY number")]


async def nothing(_: Database) -> None:
    return


def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    with_database(tmp_path / "x.db", lambda db: db.write(add("one")))

    assert with_database(tmp_path / "x.db", lambda db: db.read(texts)) == ["one"]


def test_the_file_and_its_log_are_the_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch(mode=0o644)

    def modes(_: sqlite3.Connection) -> dict[str, int]:
        return {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    async def use(db: Database) -> dict[str, int]:
        await db.write(add("one"))
        return await db.read(modes)

    assert with_database(tmp_path / "x.db", use) == dict.fromkeys(["x.db", "x.db-wal", "x.db-shm"], 0o600)


def test_commits_reach_the_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    def settings(connection: sqlite3.Connection) -> tuple[str, int]:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode, connection.execute("PRAGMA synchronous").fetchone()[0]

    assert with_database(tmp_path / "x.db", lambda db: db.read(settings)) == ("wal", 2)


def test_a_change_that_raises_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise ValueError("a bug")

    async def use(db: Database) -> list[str]:
        with pytest.raises(ValueError, match="a bug"):
            await db.write(breaks)
        await db.write(add("whole"))
        return await db.read(texts)

    assert with_database(tmp_path / "x.db", use) == ["whole"]


def test_our_own_mistake_in_sql_is_a_bug_and_not_the_disks_word(tmp_path: Path) -> None:
    async def use(db: Database) -> None:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await db.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
        with pytest.raises(sqlite3.IntegrityError):
            await db.write(lambda connection: connection.execute("INSERT INTO notes (text) VALUES (NULL)"))

    with_database(tmp_path / "x.db", use)


def test_a_full_disk_is_an_oserror_that_harms_nothing(tmp_path: Path) -> None:
    def allow(pages: int) -> Callable[[sqlite3.Connection], None]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count={pages}").close()

    async def use(db: Database) -> list[str]:
        await db.write(add("before"))
        await db.read(allow(1))  # SQLite takes the present size instead: no page may be added
        with pytest.raises(OSError, match=r"cannot write .*x\.db: database or disk is full"):
            await db.write(add("x" * 100_000))
        await db.read(allow(10_000))
        await db.write(add("after"))
        return await db.read(texts)

    assert with_database(tmp_path / "x.db", use) == ["before", "after"]


def test_a_damaged_file_is_unreadable_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this was never a database, whatever its name says" * 100)
    before = path.read_bytes()

    with pytest.raises(Unreadable, match=r"cannot open .*x\.db"):
        with_database(path, nothing)

    assert path.read_bytes() == before


def test_a_page_that_was_overwritten_is_found_when_the_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with_database(path, lambda db: db.write(add("x" * 100_000)))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)

    with pytest.raises(Unreadable, match="damaged"):
        with_database(path, nothing)


def test_a_file_cut_short_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with_database(path, lambda db: db.write(add("x" * 100_000)))
    os.truncate(path, 9_000)

    with pytest.raises(Unreadable):
        with_database(path, nothing)


def test_damage_that_shows_later_is_unreadable_too(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with_database(path, lambda db: db.write(add("x" * 100_000)))

    async def use(db: Database) -> None:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
        await db.read(lambda connection: connection.execute("PRAGMA shrink_memory").close())
        with pytest.raises(Unreadable):
            await db.read(texts)

    with_database(path, use)


def test_a_path_that_cannot_be_opened_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        with_database(tmp_path / "nowhere" / "x.db", nothing)


def test_a_file_of_a_later_program_that_we_may_use_opens(tmp_path: Path) -> None:
    later = Step("CREATE TABLE more (x INTEGER);")
    with_database(tmp_path / "x.db", lambda db: db.write(add("one")), steps=[NOTES, later])

    assert with_database(tmp_path / "x.db", lambda db: db.read(texts)) == ["one"]


def test_a_file_of_a_later_program_that_we_would_misread_is_refused(tmp_path: Path) -> None:
    later = Step("DROP TABLE notes;", min_reader=2)
    harmless = Step("CREATE TABLE more (x INTEGER);")
    with_database(tmp_path / "x.db", nothing, steps=[NOTES, later, harmless])

    with pytest.raises(Unreadable, match="has form 3 and needs a program that knows form 2"):
        with_database(tmp_path / "x.db", nothing)


def test_a_file_that_is_not_ours_but_numbered_is_refused(tmp_path: Path) -> None:
    stranger = sqlite3.connect(tmp_path / "x.db")
    stranger.execute("PRAGMA user_version=40")
    stranger.close()

    with pytest.raises(Unreadable, match="form 40"):
        with_database(tmp_path / "x.db", nothing)


def test_a_step_that_fails_leaves_the_file_in_the_form_it_had(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with_database(path, lambda db: db.write(add("one")))
    broken = Step("CREATE TABLE half (x INTEGER);\nINSERT INTO nowhere VALUES (1);")

    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        with_database(path, nothing, steps=[NOTES, broken])

    repaired = Step("CREATE TABLE half (x INTEGER);")
    assert with_database(path, lambda db: db.read(texts), steps=[NOTES, repaired]) == ["one"]


def test_a_script_is_split_where_its_statements_end() -> None:
    script = """
        CREATE TABLE a (x TEXT);  -- a comment; with
        INSERT INTO a VALUES ('one;
        two');
        CREATE TRIGGER t AFTER INSERT ON a BEGIN
            DELETE FROM a;
            INSERT INTO a VALUES ('three');
        END;
        DELETE FROM a
    """
    connection = sqlite3.connect(":memory:")

    for statement in statements(script):
        connection.execute(statement)

    assert len(list(statements(script))) == 4
    connection.close()


def test_everything_happens_on_one_thread_that_ends_with_the_database(tmp_path: Path) -> None:
    async def use(db: Database) -> set[int]:
        changes = [db.write(lambda _: threading.get_ident()) for _ in range(5)]
        return set(await asyncio.gather(*changes, db.read(lambda _: threading.get_ident())))

    (ident,) = with_database(tmp_path / "x.db", use)

    assert ident != threading.get_ident()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("db-x")]


def test_a_cancelled_write_is_whole_or_absent_and_the_file_is_closed_behind_it(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        add("one")(connection)
        started.set()
        assert go_on.wait(10)
        add("two")(connection)

    async def main() -> None:
        async with Database.open(tmp_path / "x.db", [NOTES]) as database:
            job = asyncio.create_task(database.write(slow))
            await asyncio.to_thread(started.wait, 10)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            go_on.set()

    asyncio.run(main())

    assert not list(tmp_path.glob("x.db-*"))  # a closed file has no log
    assert with_database(tmp_path / "x.db", lambda db: db.read(texts)) == ["one", "two"]


def test_a_cancelled_opening_leaves_no_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening, go_on = threading.Event(), threading.Event()

    def hold(path: Path) -> None:
        opening.set()
        assert go_on.wait(10)
        path.touch()

    async def open_it() -> None:
        async with Database.open(tmp_path / "x.db", [NOTES]):
            pass

    async def main() -> None:
        job = asyncio.create_task(open_it())
        await asyncio.to_thread(opening.wait, 10)
        job.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await job

    monkeypatch.setattr("agent.store.db._make", hold)
    asyncio.run(main())

    assert not [file for file in Path("/proc/self/fd").iterdir() if _leads_to(file, tmp_path)]


def _leads_to(file: Path, folder: Path) -> bool:
    try:
        return str(folder) in str(file.readlink())
    except FileNotFoundError:  # the descriptor of the listing itself
        return False


def test_setting_aside_keeps_the_file_and_its_log_under_a_dated_name(tmp_path: Path) -> None:
    for name in ("x.db", "x.db-wal"):
        (tmp_path / name).write_text(name)

    aside = set_aside(tmp_path / "x.db", T0)

    assert aside.name == "x.db.aside-20260115T120000Z"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "x.db.aside-20260115T120000Z": "x.db",
        "x.db.aside-20260115T120000Z-wal": "x.db-wal",
    }


def test_two_files_set_aside_in_one_second_are_both_kept(tmp_path: Path) -> None:
    kept = []
    for text in ("first", "second", "third"):
        (tmp_path / "x.db").write_text(text)
        kept.append(set_aside(tmp_path / "x.db", T0))

    assert [path.read_text() for path in kept] == ["first", "second", "third"]


def test_after_a_damaged_file_is_set_aside_a_new_one_works(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Unreadable):
        with_database(path, nothing)

    set_aside(path, T0)

    with_database(path, lambda db: db.write(add("one")))
    assert len(list(tmp_path.glob("x.db.aside-*"))) == 1
