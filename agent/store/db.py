"""One SQLite file, one connection, one thread.

All reads and writes of a file go through its one thread, in the order in which they were asked for, and nobody holds
a cursor across an await. WAL with ``synchronous=FULL``: what was committed survives the loss of power. The file's
form is numbered (``PRAGMA user_version``); a step that older programs could not live with raises `min_reader`.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

OWNER_ONLY = 0o600


class Unreadable(OSError):
    """The file is damaged, or newer than this program understands. It is left as it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered change of a file's form. `min_reader` is the lowest form a program must know to use the result."""

    sql: str
    min_reader: int = 1


class Database:
    """A file and its thread. Methods raise OSError for whatever SQLite or the disk says."""

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
        loop = asyncio.get_running_loop()
        try:
            connection = await loop.run_in_executor(thread, _open, path, steps)
            try:
                yield cls(connection, thread, path)
            finally:
                await loop.run_in_executor(thread, connection.close)
        finally:
            thread.shutdown(wait=True)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run *change* in one transaction: all of it is on the disk when this returns, or none."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, change)

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run *question*, which changes nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, question)

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = change(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise OSError(f"cannot write {self.path}: {error}") from error
        else:
            return result

    def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return question(self._connection)
        except sqlite3.Error as error:
            raise OSError(f"cannot read {self.path}: {error}") from error


def set_aside(path: Path, now: datetime) -> Path:
    """Move a file that cannot be used out of the way, with its date; nothing is deleted. Gives its new name."""
    aside = path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _open(path: Path, steps: Sequence[Step]) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
    path.chmod(OWNER_ONLY)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _bring_up(connection, steps)
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise OSError(f"cannot open {path}: {error}") from error
        raise Unreadable(f"{path} is damaged: {error}") from error
    except Unreadable:
        connection.close()
        raise
    return connection


def _bring_up(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    form = connection.execute("PRAGMA user_version").fetchone()[0]
    if form > len(steps):
        needed = connection.execute("SELECT min_reader FROM form").fetchone()[0]
        if needed > len(steps):
            raise Unreadable(f"the file has form {form} and needs a program that knows form {needed}")
        return
    for number, step in enumerate(steps[form:], start=form + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in step.sql.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("CREATE TABLE IF NOT EXISTS form (min_reader INTEGER NOT NULL)")
        newest = max([step.min_reader, *(row[0] for row in connection.execute("SELECT min_reader FROM form"))])
        connection.execute("DELETE FROM form")
        connection.execute("INSERT INTO form VALUES (?)", (newest,))
        connection.execute(f"PRAGMA user_version={number:d}")
        connection.execute("COMMIT")
