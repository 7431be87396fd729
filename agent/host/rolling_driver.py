"""A log file that stays within its bounds: rolled by size or by the hour, or left to another program to move away."""

import os
import stat
import time
from pathlib import Path
from typing import Final

OWNER_ONLY = 0o600
HOUR = 3600
LOOK_EVERY = 1.0
"""Seconds between two looks whether somebody else has moved the file away."""
MB: Final = 1_000_000
"""As the reference agent counts."""


class RollingFile:
    """The file at *path*, and *keep* older ones beside it: ``path.1`` is the youngest.

    Each holds at most *most_bytes*, so all of them together at most ``(keep + 1) * most_bytes``; a new one begins when
    the next line would not fit, and with ``hourly`` also with each hour. With ``none`` nothing is rolled, nothing is
    bounded, and a file that was moved away (logrotate) is begun anew. A device, such as ``/dev/null``, is never rolled:
    it belongs to the whole machine.
    """

    def __init__(self, path: Path, *, most_bytes: int, keep: int, rollover: str = "size") -> None:
        self._path = path
        self._most = max(1, most_bytes)
        self._keep = keep
        self._rollover = rollover
        self._descriptor = -1
        self._size = 0
        self._is_regular = True
        self._hour = 0
        self._looked = 0.0

    def write(self, lines: bytes) -> None:
        """Add whole *lines*. Raises OSError, and then nothing of them is in the file."""
        if self._rollover == "none":
            self._see_whether_it_is_there()
        if self._descriptor < 0:
            self._open()
        if self._rollover != "none" and self._is_regular and self._size and self._is_full(len(lines)):
            self._roll()
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
        except OSError:
            if self._is_regular:
                os.ftruncate(self._descriptor, self._size)  # half a line would spoil the next one
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def piece(self, lines: list[bytes]) -> int:
        """How many of *lines*, at least one, go into one write: no more than a file holds."""
        size = 0
        for place, line in enumerate(lines):
            size += len(line)
            if place and size > self._most - (self._size if self._size < self._most else 0):
                return place
        return len(lines)

    def _is_full(self, more: int) -> bool:
        is_of_another_hour = self._rollover == "hourly" and _hour() != self._hour
        return is_of_another_hour or self._size + more > self._most

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, OWNER_ONLY)
        about = os.fstat(self._descriptor)
        self._is_regular = stat.S_ISREG(about.st_mode)
        self._size = about.st_size
        self._hour = int(about.st_mtime) // HOUR if self._size else _hour()

    def _roll(self) -> None:
        self.close()
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        else:
            for number in range(self._keep - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _see_whether_it_is_there(self) -> None:
        now = time.monotonic()
        if self._descriptor < 0 or now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        try:
            is_there = os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            is_there = False
        if not is_there:
            self.close()


def _hour() -> int:
    return int(time.time()) // HOUR
