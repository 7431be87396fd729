"""The audit log on the disk. Nobody who asks for credentials waits for it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, Self

from structlog import get_logger

from agent.config.settings import Settings
from agent.host.rolling_driver import MB, RollingFile

log = get_logger()

MOST_WAITING = 10_000
"""Lines; more than a minute of all that the limits of some ten containers let through."""
AGAIN_AFTER = 5.0
"""Seconds until a disk that takes nothing is tried again."""


class Lines(Protocol):
    """What lines are written to."""

    def write(self, lines: bytes) -> None:
        """Add whole *lines*. Raises OSError, and then nothing of them is written."""
        ...

    def piece(self, lines: list[bytes]) -> int:
        """How many of *lines*, at least one, go into one write."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class AuditFile:
    """Lines on their way into *file*. While the disk takes none, the oldest are lost in the end, and counted.

    A disk that fails is said once, and again when it has taken what waited.
    """

    def __init__(
        self,
        file: Lines | None,
        *,
        most: int = MOST_WAITING,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._file = file
        self._waiting: deque[bytes] = deque(maxlen=most)
        self._news = asyncio.Event()
        self._pause = pause
        self._lost = 0
        self._failed = False
        self._writing: asyncio.Future[None] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one of *settings*, if there is to be one. It rolls as the log does, by the hour where not by size."""
        if settings.audit_log_disabled:
            return cls(None)
        return cls(
            RollingFile(
                settings.audit_log_file,
                most_bytes=int(settings.log_max_file_size_mb * MB),
                keep=settings.log_max_roll_count,
                rollover="size" if settings.log_rollover_type == "size" else "hourly",
            )
        )

    def note(self, line: str) -> None:
        """Write *line* soon."""
        if self._file is None:
            return
        self._lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(f"{line}\n".encode(errors="replace"))
        self._news.set()

    async def run(self) -> None:
        """Write, for ever; what waits at the end is written, too."""
        if self._file is None:
            return
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting and not await self._wrote(self._file):
                    await self._pause(AGAIN_AFTER)
        finally:
            if self._writing is not None:
                await asyncio.wait({self._writing})
            await asyncio.to_thread(self._last_words, self._file)

    async def _wrote(self, file: Lines) -> bool:
        """Write what waits; False where the disk does not take it."""
        lines = list(self._waiting)
        self._waiting.clear()
        self._writing = asyncio.ensure_future(asyncio.to_thread(_write, file, lines))
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            self._give_back(lines)
            if not self._failed:
                log.warning("audit_log_not_written", error=str(error))
            self._failed = True
            return False
        if self._failed or self._lost:
            log.warning("audit_log_written_again", lines_lost=self._lost)
        self._failed, self._lost = False, 0
        return True

    def _give_back(self, lines: list[bytes]) -> None:
        """Those that were not written (`_write` takes the others out) come before what has come meanwhile."""
        room = (self._waiting.maxlen or 0) - len(self._waiting)
        kept = lines[max(0, len(lines) - room) :]
        self._lost += len(lines) - len(kept)
        self._waiting.extendleft(reversed(kept))

    def _last_words(self, file: Lines) -> None:
        try:
            _write(file, list(self._waiting))
        except OSError as error:
            log.warning("audit_log_not_written", error=str(error), lines_lost=len(self._waiting))
        file.close()


def _write(file: Lines, lines: list[bytes]) -> None:
    """Write *lines*, and take each out of the list that is written. Raises OSError."""
    while lines:
        count = file.piece(lines)
        file.write(b"".join(lines[:count]))
        del lines[:count]
