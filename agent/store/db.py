"""One SQLite file, one connection, one thread.

All reads and writes of a file go through its one thread, in the order in which they were asked for, and nobody holds
a cursor across an await. WAL with ``synchronous=FULL``: what was committed survives the loss of power. The file's
form is numbered (``PRAGMA user_version``); a step that older programs could not live with raises `min_reader`.
mirror_db.py has a file of which all rows are kept in memory, too.

What the disk says (full, busy, not allowed, broken) is an OSError. What only a mistake of ours can cause (wrong SQL,
a constraint, a closed connection) stays a `sqlite3.Error`: it is a bug, and trying again would not help.
"""

import asyncio
import os
import sqlite3
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

import structlog

from agent.model.clock import utc_now

story = structlog.get_logger()

T = TypeVar("T")

OWNER_ONLY = 0o600
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
KEPT_ASIDE = 5
"""So many files of one name are kept that were set aside: the first one, and the latest."""
LOG_HEADER_SIZE = 32
LOG_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""The first word of a write-ahead log, and in which order the bytes are that its checksum is made of."""


class Unreadable(OSError):
    """The file is damaged, or newer than this program understands. It is left as it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered change of a file's form. `min_reader` is the lowest form a program must know to use the result."""

    sql: str
    min_reader: int = 1


class Database:
    """A file and its thread. Methods raise OSError for what the disk says, Unreadable where the file is damaged.

    A job that is cancelled while it waits for `write` does not learn whether the change was made.
    """

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor, path: Path) -> None:
        self._connection = connection
        self._thread = thread
        self.path = path

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, steps: Sequence[Step]) -> AsyncIterator[Self]:
        """Open *path*, made with mode 0600 if it is new, and bring it to the form that *steps* describe.

        Raises Unreadable for a damaged file or one from a later program; OSError for what the disk says.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"db-{path.stem}")
        opening = thread.submit(open_file, path, steps)
        try:
            connection = await asyncio.wrap_future(opening)
            yield cls(connection, thread, path)
        finally:
            # The thread closes what it opened, after all that was asked of it, even if nobody waits for it any more.
            closing = thread.submit(_close, opening)
            thread.shutdown(wait=False)
            await asyncio.shield(asyncio.wrap_future(closing))
            await asyncio.to_thread(thread.shutdown)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run *change* in one transaction: all of it is on the disk when this returns, or none if it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, change)

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run *question*, which changes nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, question)

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        with in_words(f"cannot write {self.path}"), transaction(connection):
            return change(connection)

    def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with in_words(f"cannot read {self.path}"):
            return question(self._connection)


def set_aside(path: Path, now: datetime) -> Path:
    """Move a file that cannot be used out of the way, whole, with its date. Gives its new name.

    The write-ahead log goes first: left behind, SQLite would play it into the file that is made next. Where damage
    comes again and again, the first file and the latest ones stay.
    """
    name = f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}"
    aside, count = path.with_name(name), 1
    while any(aside.with_name(aside.name + suffix).exists() for suffix in ("-wal", "-shm", "")):
        count += 1
        aside = path.with_name(f"{name}-{count}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    _thin_out(path)
    return aside


def _thin_out(path: Path) -> None:
    there = path.parent.glob(f"{path.name}.aside-*")
    asides = [one for one in there if not one.name.endswith(("-wal", "-shm"))]
    for one in sorted(asides, key=lambda aside: aside.stat().st_mtime_ns)[1 : 1 - KEPT_ASIDE]:
        for suffix in ("", "-wal", "-shm"):
            with suppress(IsADirectoryError):
                one.with_name(one.name + suffix).unlink(missing_ok=True)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done within is committed, or none if it raises."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll back by itself
            with suppress(sqlite3.Error):  # the first error tells more
                connection.execute("ROLLBACK")
        raise


@contextmanager
def in_words(attempt: str) -> Iterator[None]:
    """Turn what the disk says through SQLite into an OSError; a bug goes on as it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the high bits are details of the low
        if code in DAMAGE:
            raise Unreadable(f"{attempt}: the file is damaged: {error}") from error
        if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
            raise OSError(f"{attempt}: {error}") from error
        raise


def open_file(path: Path, steps: Sequence[Step]) -> sqlite3.Connection:
    """Open *path* as `Database.open` does, in the thread that is to use it."""
    _make(path)
    _check_log(path)
    with in_words(f"cannot open {path}"):
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            check(connection, path)
            bring_up(connection, steps, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _close(opening: Future[sqlite3.Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file. Raises Unreadable where it is damaged."""
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Unreadable(f"cannot open {path}: the file is damaged: {verdict}")


def _make(path: Path) -> None:
    """See that *path* exists, is the owner's alone, and that its folder remembers it after a loss of power."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, OWNER_ONLY))
    except IsADirectoryError as error:
        raise Unreadable(f"cannot open {path}: it is a directory") from error
    path.chmod(OWNER_ONLY)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_log(path: Path) -> None:
    """See that SQLite does not throw away a write-ahead log that holds something: it plays none into an empty file.

    One that does not begin as a log does is moved aside. One that is cut off in the middle is what a crash leaves.
    """
    log = path.with_name(path.name + "-wal")
    if log.is_file() and log.stat().st_size:
        if not path.stat().st_size:
            raise Unreadable(f"cannot open {path}: it is empty, and there is a log of what was written to it")
        if not is_log(log):
            aside = set_aside(log, utc_now())
            story.warning("database_log_set_aside", path=str(log), aside=str(aside))


def is_log(path: Path) -> bool:
    """Does the file begin as a write-ahead log of SQLite does? It holds whole transactions then, or none."""
    with path.open("rb") as file:
        header = file.read(LOG_HEADER_SIZE)
    if len(header) < LOG_HEADER_SIZE:
        return False
    order = LOG_MAGIC.get(int.from_bytes(header[:4], "big"))
    if order is None:
        return False
    words, first, second = struct.unpack(f"{order}6I", header[:24]), 0, 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return struct.unpack(">2I", header[24:]) == (first, second)


def bring_up(connection: sqlite3.Connection, steps: Sequence[Step], path: Path) -> None:
    """Give the rows the form that *steps* describe. Raises Unreadable where a later program wrote them."""
    form = connection.execute("PRAGMA user_version").fetchone()[0]
    if form > len(steps):
        _check_newer(connection, form, len(steps), path)
        return
    if form == len(steps):
        return
    with transaction(connection):  # one for all: a file that turns out not to be ours is left as it was
        for number, step in enumerate(steps[form:], start=form + 1):
            for statement in statements(step.sql):
                connection.execute(statement)
            connection.execute("CREATE TABLE IF NOT EXISTS form (min_reader INTEGER NOT NULL)")
            newest = max([step.min_reader, *(row[0] for row in connection.execute("SELECT min_reader FROM form"))])
            connection.execute("DELETE FROM form")
            connection.execute("INSERT INTO form VALUES (?)", (newest,))
            connection.execute(f"PRAGMA user_version={number:d}")


def _check_newer(connection: sqlite3.Connection, form: int, known: int, path: Path) -> None:
    """Refuse a file of a later form unless it says that a program that knows *known* steps may use it."""
    has_form = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'form'").fetchone()[0]
    needed = connection.execute("SELECT max(min_reader) FROM form").fetchone()[0] if has_form else None
    if needed is None:
        raise Unreadable(f"cannot open {path}: it has form {form}, says of no reader, and this program knows {known}")
    if needed > known:
        raise Unreadable(f"cannot open {path}: it has form {form} and needs a program that knows form {needed}")


def statements(sql: str) -> Iterator[str]:
    """The statements of a script, one by one: SQLite's own `executescript` would end the transaction first.

    A statement ends with a line that ends in a semicolon, outside of strings, comments and trigger bodies.
    """
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending
