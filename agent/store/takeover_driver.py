"""What was taken over from the agent before us, in a file of its own beside the identity.

It stays as long as a container of it may: by this file alone it is known that those are ours. So there is a copy of it:
without either, containers that run would count as gone.
"""

import asyncio
from pathlib import Path

import msgspec
from structlog import get_logger

from agent.model.clock import Clock, utc_now
from agent.model.takeover import Takeover
from agent.store.db import set_aside
from agent.store.whole_file_driver import replace_whole

log = get_logger()

FORM = 1


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    form: int = FORM
    min_reader: int = FORM
    takeover: Takeover


class TakeoverFile:
    """The file at *path*. Methods raise OSError for what the disk says."""

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self.path = path
        self.copy = path.with_name(path.name + ".copy")
        self._clock = clock

    async def read(self) -> Takeover | None:
        """What was taken over; None where nothing was. A file that makes no sense is set aside, and the copy counts."""
        return await asyncio.to_thread(lambda: self._read(self.path) or self._read(self.copy))

    async def peek(self) -> Takeover | None:
        """The same for whoever only looks: nothing is moved, and what cannot be read counts as none."""
        return await asyncio.to_thread(lambda: self._peek(self.path) or self._peek(self.copy))

    async def write(self, takeover: Takeover) -> None:
        """Replace the file, and then the copy; returns when both are on the disk."""
        text = msgspec.json.format(msgspec.json.encode(_Written(takeover=takeover)))
        for path in (self.path, self.copy):
            await asyncio.to_thread(replace_whole, path, text)

    async def remove(self) -> None:
        """Nothing of it is left."""
        for path in (self.copy, self.path):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def _peek(self, path: Path) -> Takeover | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Written).takeover
        except (OSError, ValueError, RecursionError):
            return None

    def _read(self, path: Path) -> Takeover | None:
        try:
            written = msgspec.json.decode(path.read_bytes(), type=_Written)
            if written.min_reader <= FORM:
                return written.takeover
            error: Exception = ValueError(f"needs a program that knows form {written.min_reader}")
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, IsADirectoryError) as damage:  # msgspec's errors are values that cannot be
            error = damage
        try:
            aside = str(set_aside(path, self._clock()))
        except OSError as refusal:  # a disk that takes no change: the other of the two counts all the same
            log.warning("takeover_not_set_aside", path=str(path), error=str(refusal), found=str(error))
            return None
        log.warning("takeover_set_aside", path=str(path), aside=aside, error=str(error))
        return None
