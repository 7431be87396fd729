"""What was taken over from the agent before us, in a file of its own beside the identity.

It stays as long as a container of it may: by this file alone it is known that those are ours.
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
        self._clock = clock

    async def read(self) -> Takeover | None:
        """What was taken over; None where nothing was. A file that makes no sense is set aside, and counts as none."""
        return await asyncio.to_thread(self._read)

    async def peek(self) -> Takeover | None:
        """The same for whoever only looks: nothing is moved, and what cannot be read counts as none."""
        return await asyncio.to_thread(self._peek)

    async def write(self, takeover: Takeover) -> None:
        """Replace the file; returns when it is on the disk."""
        text = msgspec.json.format(msgspec.json.encode(_Written(takeover=takeover)))
        await asyncio.to_thread(replace_whole, self.path, text)

    async def remove(self) -> None:
        """Nothing of it is left."""
        await asyncio.to_thread(self.path.unlink, missing_ok=True)

    def _peek(self) -> Takeover | None:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Written).takeover
        except (OSError, ValueError, RecursionError):
            return None

    def _read(self) -> Takeover | None:
        try:
            written = msgspec.json.decode(self.path.read_bytes(), type=_Written)
            if written.min_reader <= FORM:
                return written.takeover
            error: Exception = ValueError(f"needs a program that knows form {written.min_reader}")
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as damage:  # msgspec's errors are values that cannot be
            error = damage
        aside = set_aside(self.path, self._clock())
        log.warning("takeover_set_aside", path=str(self.path), aside=str(aside), error=str(error))
        return None
