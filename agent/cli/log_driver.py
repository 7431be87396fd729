"""Writes log lines in a thread, so that nobody who logs ever waits for a disk, a pipe, or a journal that hangs.

What waits is bounded: beyond that, lines are dropped and counted, and the count is the next line that is written. The
first line of a kind is never dropped for want of room: there are as many of them as there are names of events.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

MOST_LINES = 10_000
MOST_BYTES = 8 << 20
LONGEST = 32 << 10
"""Bytes of one line; what is longer is cut."""
CUT = b" ...cut\n"
AGAIN_AFTER = 1.0
"""Seconds for which an outlet that failed is left alone."""
LAST_WORDS = 2.0
"""Seconds for what still waits when the process ends."""
BEAT = 0.5


class Outlet(Protocol):
    """Where lines go."""

    def write(self, lines: bytes) -> None:
        """Write whole lines. Raises OSError."""
        ...

    def piece(self, lines: list[bytes]) -> int:
        """How many of *lines*, at least one, to write at once."""
        ...

    def close(self) -> None:
        """No more lines come."""
        ...


class Stream:
    """A file descriptor that is open already, such as standard error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, lines: bytes) -> None:
        """Write all of it, however long the other end takes."""
        while lines:
            lines = lines[os.write(self._descriptor, lines) :]

    def piece(self, lines: list[bytes]) -> int:
        """All of them."""
        return len(lines)

    def close(self) -> None:
        """It belongs to the process."""


def _nobody(_why: str) -> None:
    """Nobody is told."""


class Scribe:
    """One outlet and its thread. `lost` words the line that says how many were dropped.

    `failed` is told why as soon as the outlet takes no lines any more, once until it takes some again.
    """

    def __init__(
        self,
        name: str,
        outlet: Outlet,
        lost: Callable[[int, str], str],
        beat: Callable[[], None],
        failed: Callable[[str], None] = _nobody,
    ) -> None:
        self.dropped = 0
        """How many lines were dropped since the process began."""
        self._outlet = outlet
        self._lost = lost
        self._beat = beat
        self._failed = failed
        self._is_failing = False
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._untold = 0
        self._why = ""
        self._closing = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._write_on, name=f"log-{name}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, line: str, *, first: bool) -> None:
        """Have *line* written. Never waits; *first* of its kind, it is kept even where there is no room."""
        text = line.encode("utf-8", "backslashreplace")
        if len(text) > LONGEST:
            text = text[: LONGEST - len(CUT)] + CUT
        with self._news:
            if not first and (len(self._lines) >= MOST_LINES or self._bytes + len(text) > MOST_BYTES):
                self._drop(1, "too many lines at once")
                return
            self._lines.append(text)
            self._bytes += len(text)
            self._news.notify()

    def close(self, patience: float = LAST_WORDS) -> None:
        """Write what waits, for so long at most."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(patience)

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        self._untold += count
        self._why = why

    def _write_on(self) -> None:
        while True:
            self._beat()
            with self._news:
                if not self._lines and not self._closing:
                    self._news.wait(BEAT)
                lines, self._lines, self._bytes = list(self._lines), deque(), 0
                is_last = self._closing and not lines
            while lines:
                lines = self._write_some(lines)
            if is_last:
                self._outlet.close()
                return

    def _write_some(self, lines: list[bytes]) -> list[bytes]:
        """Write a piece; gives what is left. What an outlet does not take, as a full disk, is dropped and counted."""
        if self._untold:
            lines = [self._lost(self._untold, self._why).encode(), *lines]
        count = self._outlet.piece(lines)
        told = self._untold
        try:
            self._outlet.write(b"".join(lines[:count]))
        except OSError as error:
            why = error.strerror or str(error)
            if not self._is_failing:
                self._is_failing = True
                self._failed(why)
            with self._news:
                self._drop(count - bool(told), why)
                self._news.wait_for(lambda: self._closing, AGAIN_AFTER)
        else:
            self._is_failing = False
            with self._news:
                self._untold -= told
        return lines[count:]
