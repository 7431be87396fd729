"""The identity in a file of its own: replaced whole, on the disk before anybody is told.

It is small JSON that people can read. A crash leaves the old file or the new one; a file that makes no sense, or that
a later program wrote in a form we cannot read, is set aside with its date.
"""

import asyncio
import os
from pathlib import Path

import msgspec
from structlog import get_logger

from agent.model.clock import Clock, utc_now
from agent.model.identity import Identity
from agent.store.db import OWNER_ONLY, set_aside

log = get_logger()

FORM = 1


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds. `min_reader` is the lowest form that a program must know to use it."""

    form: int = FORM
    min_reader: int = FORM
    identity: Identity


class IdentityFile:
    """The file at *path*. Methods raise OSError for what the disk says, and for nothing else."""

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self.path = path
        self._clock = clock

    async def read(self) -> Identity | None:
        """The saved identity, or None. A file that cannot be understood is set aside."""
        return await asyncio.to_thread(self._read)

    async def write(self, identity: Identity) -> None:
        """Replace the saved identity; returns when it is on the disk."""
        await asyncio.to_thread(_replace, self.path, msgspec.json.format(msgspec.json.encode(_written(identity))))

    def _read(self) -> Identity | None:
        try:
            written = _understood(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = set_aside(self.path, self._clock())
            log.warning("identity_set_aside", path=str(self.path), aside=str(aside), error=str(error))
            return None
        return written.identity


def _written(identity: Identity) -> Written:
    return Written(identity=identity)


def _understood(text: bytes) -> Written:
    """What *text* says. Raises ValueError (msgspec's errors are some) where it cannot be used."""
    written = msgspec.json.decode(text, type=Written)
    if written.min_reader > FORM:
        raise ValueError(f"needs a program that knows form {written.min_reader}; this one knows form {FORM}")
    if not written.identity.agent_id:
        raise ValueError("has no agent_id")
    return written


def _replace(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)  # left by a crash, perhaps with another mode
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
