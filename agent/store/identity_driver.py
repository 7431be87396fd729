"""The identity in a file of its own, replaced whole and on the disk before anybody is told; and a copy in the journal.

It is small JSON that people can read. A crash leaves the old file or the new one; a file that makes no sense, or that
a later program wrote in a form we cannot read, is set aside with its date, and the copy counts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from structlog import get_logger

from agent.model.clock import Clock, utc_now
from agent.model.identity import Identity
from agent.store.db import set_aside
from agent.store.journal_driver import peek_identity
from agent.store.whole_file_driver import replace_whole

log = get_logger()

FORM = 1

Copy = Callable[[Identity], Awaitable[None]]
"""Keeps an identity in another place."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds. `min_reader` is the lowest form that a program must know to use it."""

    form: int = FORM
    min_reader: int = FORM
    identity: Identity


class IdentityFile:
    """The file at *path*, and the copy in the journal at *journal*. Methods raise OSError for what the disk says."""

    def __init__(self, path: Path, clock: Clock = utc_now, journal: Path | None = None) -> None:
        self.path = path
        self._journal = journal
        self._clock = clock
        self._keep: Copy | None = None

    async def read(self) -> Identity | None:
        """The saved identity: the file's, or else the copy's; None without either.

        Raises OSError where there is a file that the disk does not give, and no copy.
        """
        identity, refused = await asyncio.to_thread(self._read)
        if identity is None and self._journal is not None:
            identity = await peek_identity(self._journal)
            if identity is not None:
                log.warning("identity_taken_from_journal", journal=str(self._journal), instance=identity.instance_arn)
        if identity is None and refused is not None:
            raise refused
        return identity

    async def write(self, identity: Identity) -> None:
        """Replace the saved identity; returns when it is on the disk."""
        try:
            text = msgspec.json.format(msgspec.json.encode(_written(identity)))
            await asyncio.to_thread(replace_whole, self.path, text)
        finally:
            if self._keep is not None:
                await self._keep(identity)

    async def is_there(self) -> bool:
        """Is there a file? One that cannot be read is none, once `read` has set it aside."""
        return await asyncio.to_thread(self.path.exists)

    async def set_aside(self) -> None:
        """Put the file out of the way, with its date: who it speaks of is no more."""
        if await self.is_there():
            aside = await asyncio.to_thread(set_aside, self.path, self._clock())
            log.warning("identity_set_aside", path=str(self.path), aside=str(aside), error="it is not ours any more")

    async def copy_to(self, keep: Copy, identity: Identity) -> None:
        """Have *keep* called with *identity* now, and from now on with each that is written."""
        self._keep = keep
        await keep(identity)

    def _read(self) -> tuple[Identity | None, OSError | None]:
        try:
            return _understood(self.path.read_bytes()).identity, None
        except FileNotFoundError:
            return None, None
        except (ValueError, RecursionError, IsADirectoryError) as error:
            return None, self._put_away(error)
        except OSError as error:
            log.warning("identity_not_read", path=str(self.path), error=str(error))
            return None, error

    def _put_away(self, found: Exception) -> OSError | None:
        try:
            aside = str(set_aside(self.path, self._clock()))
        except OSError as error:  # a disk that takes no change: the other copies count all the same
            log.warning("identity_not_set_aside", path=str(self.path), error=str(error), found=str(found))
            return error
        log.warning("identity_set_aside", path=str(self.path), aside=aside, error=str(found))
        return None


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
