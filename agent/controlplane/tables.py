"""The control plane's own SQLite file: one table per kind of record, one row per record, JSON inside."""

import sqlite3
from collections.abc import Iterable

import msgspec

from agent.controlplane.records import (
    KINDS,
    Attachment,
    Cluster,
    ContainerInstance,
    Counter,
    PlaneTask,
    Record,
    RunToken,
    TaskDefinition,
)
from agent.controlplane.world import Change
from agent.store.db import Step

TABLES: dict[type[Record], str] = {
    Cluster: "clusters",
    TaskDefinition: "task_definitions",
    ContainerInstance: "container_instances",
    PlaneTask: "tasks",
    Attachment: "attachments",
    RunToken: "run_tokens",
    Counter: "counters",
}

ADDED: tuple[type[Record], ...] = (Attachment,)
"""Kinds that the first form of the file did not have, in the order in which they came."""


def _making(kinds: Iterable[type[Record]]) -> Step:
    return Step(
        ";\n".join(
            f"CREATE TABLE {TABLES[kind]} (region TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,"
            " PRIMARY KEY (region, key)) WITHOUT ROWID"
            for kind in kinds
        )
    )


STEPS = (_making(kind for kind in TABLES if kind not in ADDED), *(_making((kind,)) for kind in ADDED))


def write(connection: sqlite3.Connection, region: str, changes: Iterable[Change]) -> None:
    """Bring the rows of *region* to what *changes* left. Part of the caller's transaction."""
    for kind, key, record in _latest(changes):
        table = TABLES[kind]
        if record is None:
            connection.execute(f"DELETE FROM {table} WHERE region = ? AND key = ?", (region, key))  # noqa: S608  # ours
        else:
            connection.execute(
                f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",  # noqa: S608  # the table's name is ours
                (region, key, msgspec.json.encode(record)),
            )


def read(connection: sqlite3.Connection) -> dict[str, list[Record]]:
    """All records by region. Raises msgspec.ValidationError for a row of another form."""
    found: dict[str, list[Record]] = {}
    for kind in KINDS:
        decoder = msgspec.json.Decoder(kind)
        for region, body in connection.execute(f"SELECT region, body FROM {TABLES[kind]}"):  # noqa: S608  # ours
            found.setdefault(region, []).append(decoder.decode(body))
    return found


def _latest(changes: Iterable[Change]) -> Iterable[tuple[type[Record], str, Record | None]]:
    """A record that changed twice is written once."""
    last: dict[tuple[type[Record], str], Record | None] = {}
    for change in changes:
        last[type(change.record), change.record.key] = change.after
    return ((kind, key, record) for (kind, key), record in last.items())
