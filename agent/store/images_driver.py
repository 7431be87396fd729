"""What is remembered of images on disk: those that tasks have used, and the names that were fetched.

Fulfils the runner's `PullMemory` and the images' `Records`. A row that makes no sense is none: the image is met again,
or it is asked for once more.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

import msgspec
import structlog

from agent.images.ports import Pulled, Record
from agent.model.clock import Clock, utc_now
from agent.model.names import Image
from agent.store.mirror_db import Mirror

log = structlog.get_logger()

_encoder = msgspec.json.Encoder()
_record = msgspec.json.Decoder(Record)
_pulled = msgspec.json.Decoder(Pulled)


V = TypeVar("V")


class ImageMemory:
    """Images, in the journal's file."""

    def __init__(self, database: Mirror, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def has_pulled(self, image: Image) -> bool:
        """Has this agent fetched the image before, and not removed it since?"""
        question = "SELECT 1 FROM pulled WHERE image = ?"
        return await self._database.read(lambda c: c.execute(question, (image,)).fetchone() is not None)

    async def note_pull(self, image: Image) -> None:
        """Remember that it was fetched just now."""
        row = _encoder.encode(Pulled(image, self._clock())).decode()
        statement = "INSERT INTO pulled (image, row) VALUES (?, ?) ON CONFLICT (image) DO UPDATE SET row = excluded.row"
        await self._database.write(lambda c: c.execute(statement, (image, row)))

    async def pulled(self) -> Sequence[Pulled]:
        """Every name that was fetched and not removed since."""
        rows = await self._database.read(
            lambda c: c.execute("SELECT CAST(row AS BLOB) FROM pulled ORDER BY image").fetchall()
        )
        return _read(_pulled, rows)

    async def records(self) -> Sequence[Record]:
        """All records."""
        rows = await self._database.read(
            lambda c: c.execute("SELECT CAST(row AS BLOB) FROM images ORDER BY id").fetchall()
        )
        return _read(_record, rows)

    async def keep(self, records: Sequence[Record]) -> None:
        """Write records, in place of older ones of the same images."""
        rows = [(record.id, _encoder.encode(record).decode()) for record in records]
        statement = "INSERT INTO images (id, row) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row"
        await self._database.write(lambda c: c.executemany(statement, rows))

    async def forget(self, ids: Collection[str], names: Collection[Image]) -> None:
        """Drop the records of images, and the fetched names."""

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM images WHERE id = ?", [(one,) for one in ids])
            connection.executemany("DELETE FROM pulled WHERE image = ?", [(one,) for one in names])

        if ids or names:
            await self._database.write(change)


def _read(decoder: "msgspec.json.Decoder[V]", rows: Iterable[tuple[bytes]]) -> list[V]:
    read = []
    for (row,) in rows:
        try:
            read.append(decoder.decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("image_row_ignored", error=str(error))
    return read
