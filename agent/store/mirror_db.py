"""A file of SQLite whose rows are all in memory, too: a disk that fails costs durability, and nothing else.

Every question is answered from memory. Every change is made in both, each by its own thread, at the same time. A disk
that refuses a change (full, read-only, broken), or takes longer over it than `PATIENCE`, is behind from then on:
changes go on in memory alone, and every second the whole of memory is tried to be put into the file in one transaction.
Then the file follows again. A kill before that takes the rows back to where the file was left: all of them together.

No room is held ready for a full disk: what may not be lost is asked for again by those who wait for an acknowledgement,
or is found again in Docker.
"""

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

import structlog

from agent.model.clock import Clock, utc_now
from agent.store.db import Step, Unreadable, bring_up, check, in_words, open_file, set_aside, transaction

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds for which a change waits for the disk."""
TRY_AGAIN = 1.0
"""Seconds between attempts to catch up."""
MOST_UNDER_WAY = 10_000
"""Changes that may wait for the disk while it catches up; it is given up for this time when there are more."""

Check = Callable[[sqlite3.Connection], None]
"""Raises Unreadable for rows that are not to be used."""


def in_memory() -> sqlite3.Connection:
    """Rows that no file knows of. They may be handed from thread to thread."""
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def copied(rows: sqlite3.Connection) -> sqlite3.Connection:
    """All of *rows*, in memory."""
    copy = in_memory()
    rows.backup(copy)
    return copy


def look(path: Path) -> sqlite3.Connection:
    """A copy of the rows at *path*, its log included, made without writing anything. Nobody else may be writing.

    Raises OSError; Unreadable where the file is damaged.
    """
    if not path.stat().st_size:
        raise Unreadable(f"cannot read {path}: it is empty")
    with in_words(f"cannot read {path}"):
        # Without locks and alone, SQLite reads a log without the file that it shares with others, which it would write.
        file = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&vfs=unix-none", uri=True, isolation_level=None)
        try:
            file.execute("PRAGMA locking_mode=EXCLUSIVE")
            check(file, path)
            return copied(file)
        finally:
            file.close()


@dataclass(slots=True)
class _Disk:
    """The file, as its own thread has it. `lack` says why it does not follow; empty if it does."""

    path: Path
    steps: Sequence[Step]
    check: Check
    clock: Clock
    connection: sqlite3.Connection | None = None
    lack: str = ""
    is_unread: bool = False
    """Is something there that could not be read, and that memory does not have? It is never written over."""

    def begin(self) -> sqlite3.Connection:
        """Open the file; gives a copy of its rows, or of as much as can be had."""
        copy: sqlite3.Connection | None = None
        try:
            connection = self._open()
            with in_words(f"cannot read {self.path}"):
                copy = copied(connection)
            self._prove(connection)
        except OSError as error:
            self.lack = lack_of(error)
        copy = copy or self._looked_at()
        self.is_unread = copy is None
        copy = copy or in_memory()
        bring_up(copy, self.steps, self.path)
        return copy

    def write(self, change: Callable[[sqlite3.Connection], object]) -> str:
        """Make the change in the file, unless it is behind; gives the lack, if there is one."""
        if self.lack or self.connection is None:
            return self.lack
        try:
            with in_words(f"cannot write {self.path}"), transaction(self.connection):
                change(self.connection)
        except (OSError, sqlite3.Error) as error:  # memory has taken the same change: it is the file that is wrong
            self.lack = lack_of(error)
        return self.lack

    def catch_up(self, rows: Future[sqlite3.Connection]) -> str:
        """Put *rows* into the file, in place of what is there; gives the lack, if there is one."""
        self.close()  # what was open may be a file that is there no more
        try:
            self._spare()
            connection = self._open()
            with in_words(f"cannot write {self.path}"):
                rows.result().backup(connection)
        except (OSError, sqlite3.Error) as error:
            self.lack = lack_of(error)
        else:
            self.lack = ""
        return self.lack

    def close(self) -> None:
        """Close the file."""
        if self.connection is not None:
            with suppress(sqlite3.Error):  # what is committed stands in the log
                self.connection.close()
            self.connection = None

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_checked()
        except Unreadable as error:
            self.close()  # before the file goes: SQLite would finish its log under the old name
            self._set_aside(str(error))
            return self._open_checked()

    def _spare(self) -> None:
        """Set a file aside that is to be written over and of which memory has nothing: it may be a good one."""
        if self.is_unread and self.path.is_file() and self.path.stat().st_size:
            self._set_aside("it could not be read when this agent began, and may hold what nobody knows of")
        self.is_unread = False

    def _set_aside(self, why: str) -> None:
        aside = set_aside(self.path, self.clock())
        log.error("journal_set_aside", path=str(self.path), aside=str(aside), error=why)

    def _open_checked(self) -> sqlite3.Connection:
        try:
            self.connection = open_file(self.path, self.steps)
            with in_words(f"cannot read {self.path}"):
                self.check(self.connection)
        except sqlite3.Error as error:  # not the disk's word, and our own tables are not like that
            raise Unreadable(f"cannot use {self.path}: it is of another form: {error}") from error
        return self.connection

    def _prove(self, connection: sqlite3.Connection) -> None:
        """See that the file can be written, before anybody relies on it."""
        with in_words(f"cannot write {self.path}"), transaction(connection):
            connection.execute("UPDATE form SET min_reader = min_reader")

    def _looked_at(self) -> sqlite3.Connection | None:
        """The rows of a file that can be read only; None where there are none to be had."""
        try:
            rows = look(self.path)
            bring_up(rows, self.steps, self.path)
            self.check(rows)
        except (OSError, sqlite3.Error) as error:
            log.error("journal_not_read", path=str(self.path), error=str(error))  # noqa: TRY400 -- expected
            return None
        return rows


class Mirror:
    """Rows in memory and in a file. Methods raise nothing for what the disk says."""

    def __init__(
        self, disk: _Disk, rows: sqlite3.Connection, memory: ThreadPoolExecutor, file: ThreadPoolExecutor
    ) -> None:
        self.path = disk.path
        self.lack = disk.lack
        """Why the file is behind: a name, a colon and more; empty while it has everything."""
        self._disk = disk
        self._rows = rows
        self._memory = memory
        self._file = file
        self._follows = not disk.lack
        self._attempt = 0
        self._under_way = 0
        self._heard: Callable[[str], None] = lambda _: None
        self._whole = asyncio.Event()
        self._lost = asyncio.Event()
        (self._lost if self.lack else self._whole).set()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, steps: Sequence[Step], check: Check, clock: Clock = utc_now) -> AsyncIterator[Self]:
        """The rows at *path*; a file that is damaged, too new, or does not pass *check* is set aside whole."""
        file = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"file-{path.stem}")
        memory = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"rows-{path.stem}")
        disk = _Disk(path, steps, check, clock)
        beginning = file.submit(disk.begin)
        try:
            mirror = cls(disk, await asyncio.wrap_future(beginning), memory, file)
            if mirror.lack:
                log.error("journal_not_on_disk", path=str(path), error=mirror.lack)
            try:
                yield mirror
            finally:
                await asyncio.shield(mirror._end())
        finally:
            # The thread closes what it opened, after all that was asked of it, even if nobody waits for it any more.
            closing = asyncio.wrap_future(file.submit(disk.close))
            await asyncio.shield(asyncio.wait({closing}, timeout=PATIENCE))
            memory.shutdown(wait=False)
            file.shutdown(wait=False)

    def tell(self, heard: Callable[[str], None]) -> None:
        """Have *heard* called with `lack` now, if there is one, and each time it changes."""
        self._heard = heard
        if self.lack:
            heard(self.lack)

    @property
    def is_durable(self) -> bool:
        """Does the disk have everything?"""
        return not self.lack

    async def run(self) -> None:
        """Keep the file up, for ever: where it is behind, try to catch up."""
        while True:
            await self._lost.wait()
            if not await self.catch_up():
                await asyncio.sleep(TRY_AGAIN)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Make *change*, all of it or none if it raises: in memory, and on the disk where that takes it in time."""
        attempt = self._attempt
        if self._follows and self._under_way >= MOST_UNDER_WAY:
            self._lose(f"DiskSlow: cannot write {self.path}: {self._under_way} changes wait for it", attempt)
        writing = self._file.submit(self._disk.write, change) if self._follows else None
        result = asyncio.wrap_future(self._memory.submit(self._write, change))
        on_disk = self._note(writing, attempt) if writing is not None else None
        made = await result
        if on_disk is not None and self.is_durable:
            done, _ = await asyncio.wait({on_disk}, timeout=PATIENCE)
            if not done:
                self._lose(f"DiskSlow: cannot write {self.path} in {PATIENCE:g} s", attempt)
        return made

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run *question*, which changes nothing."""
        return await asyncio.wrap_future(self._memory.submit(question, self._rows))

    async def on_disk(self) -> None:
        """Return when the disk has every change that was made before this was called."""
        while True:
            await self._whole.wait()
            attempt = self._attempt
            if self._under_way:
                await asyncio.wrap_future(self._file.submit(lambda: None))
            if self.is_durable and attempt == self._attempt:
                return

    async def catch_up(self) -> bool:
        """Put everything on the disk that it does not have; says whether that went well."""
        await asyncio.wrap_future(self._file.submit(lambda: None))  # while the disk hangs, nothing lines up behind it
        self._attempt = attempt = self._attempt + 1
        self._follows = True  # what is changed from now on comes behind the rows that are copied now
        rows = self._memory.submit(self._copy)
        lack = await asyncio.wrap_future(self._file.submit(self._disk.catch_up, rows))
        if lack:
            self._lose(lack, attempt)
        elif attempt == self._attempt:
            if not self._follows:  # it was given up meanwhile, and lacks what has been changed since
                return False
            if self.lack:
                log.info("journal_on_disk_again", path=str(self.path))
            self._say("")
        return not lack

    async def _end(self) -> None:
        """Leave the file whole, if the disk lets us."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.wrap_future(self._file.submit(lambda: None))  # what is under way may fail yet
                if self.lack:
                    await self.catch_up()

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        with transaction(self._rows):
            return change(self._rows)

    def _copy(self) -> sqlite3.Connection:
        return copied(self._rows)

    def _note(self, writing: "Future[str]", attempt: int) -> "asyncio.Future[str]":
        self._under_way += 1
        on_disk = asyncio.wrap_future(writing)

        def done(written: "asyncio.Future[str]") -> None:
            self._under_way -= 1
            if lack := "" if written.cancelled() else written.result():
                self._lose(lack, attempt)

        on_disk.add_done_callback(done)
        return on_disk

    def _lose(self, lack: str, attempt: int) -> None:
        """The disk is behind. Of an earlier attempt that means nothing: what was lost then is in the copy since."""
        if attempt != self._attempt:
            return
        self._follows = False
        if lack != self.lack:
            log.error("journal_not_on_disk", path=str(self.path), error=lack)
        self._say(lack)

    def _say(self, lack: str) -> None:
        was, self.lack = self.lack, lack
        (self._lost if lack else self._whole).set()
        (self._whole if lack else self._lost).clear()
        if was != lack:
            self._heard(lack)


def lack_of(error: Exception) -> str:
    """What a person is told of a disk that does not take what is written: a name for it, and what was said."""
    cause = error.__cause__
    code = cause.sqlite_errorcode & 0xFF if isinstance(cause, sqlite3.Error) else 0
    number = error.errno if isinstance(error, OSError) else None
    if code == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT):
        return f"DiskFull: {error}"
    if code == sqlite3.SQLITE_READONLY or number in (errno.EROFS, errno.EPERM, errno.EACCES):
        return f"DiskReadOnly: {error}"
    return f"DiskFailed: {error}"
