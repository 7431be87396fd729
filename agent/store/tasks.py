"""Tasks, tombstones and attachments on disk. Functions run on the database's thread, inside its transaction."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from agent.model.decision import Decision
from agent.model.errors import BadInput
from agent.model.names import TaskArn
from agent.model.saved import Saved
from agent.model.status import Status
from agent.store import rows
from agent.store.db import Unreadable

V = TypeVar("V")


def write(connection: sqlite3.Connection, decision: Decision) -> None:
    """Forget, then write: a task that is named for both stays."""
    connection.executemany("DELETE FROM tasks WHERE arn = ?", [(arn,) for arn in decision.forgotten])
    connection.executemany("DELETE FROM tombstones WHERE arn = ?", [(arn,) for arn in decision.buried])
    connection.executemany(
        "INSERT INTO tasks (arn, row) VALUES (?, ?) ON CONFLICT (arn) DO UPDATE SET row = excluded.row",
        [(task.arn, rows.text_of(task)) for task in decision.tasks],
    )
    connection.executemany(
        "INSERT INTO tombstones (arn, row) VALUES (?, ?) ON CONFLICT (arn) DO UPDATE SET row = excluded.row",
        [(stone.arn, rows.text_of(stone)) for stone in decision.tombstones],
    )
    connection.executemany("DELETE FROM attachments WHERE arn = ?", [(arn,) for arn in decision.detached])
    connection.executemany(
        "INSERT INTO attachments (arn, row) VALUES (?, ?) ON CONFLICT (arn) DO UPDATE SET row = excluded.row",
        [(one.arn, rows.text_of(one)) for one in decision.attachments],
    )
    if decision.manifests:
        connection.execute("DELETE FROM manifest")
        connection.execute("INSERT INTO manifest VALUES (?)", (max(taken.number for taken in decision.manifests),))


def load(connection: sqlite3.Connection) -> Saved:
    """All rows, in the order in which they were first written. Raises Unreadable for a row that makes no sense."""
    tasks = connection.execute("SELECT arn, row FROM tasks ORDER BY rowid")
    tombstones = connection.execute("SELECT arn, row FROM tombstones ORDER BY rowid")
    attachments = connection.execute("SELECT arn, row FROM attachments ORDER BY rowid")
    return Saved(
        tasks=tuple(decoded(rows.task_from, row, f"tasks, {arn}") for arn, row in tasks),
        tombstones=tuple(decoded(rows.tombstone_from, row, f"tombstones, {arn}") for arn, row in tombstones),
        manifest=manifest(connection),
        attachments=tuple(decoded(rows.attachment_from, row, f"attachments, {arn}") for arn, row in attachments),
    )


def manifest(connection: sqlite3.Connection) -> int:
    """The number of the newest list of tasks that was taken from ECS; 0 without one."""
    (number,) = connection.execute("SELECT max(number) FROM manifest").fetchone()
    return int(number or 0)


def all_told(connection: sqlite3.Connection) -> frozenset[TaskArn]:
    """The tasks whose end was told and settled, though the rows do not say so yet: a crash came between the two."""
    saved = load(connection)
    unsettled = {task.arn for task in saved.tasks if task.told is Status.STOPPED and not task.settled}
    unsettled |= {stone.arn for stone in saved.tombstones if stone.until is None}
    return frozenset(unsettled - {arn for (arn,) in connection.execute("SELECT DISTINCT task FROM outbox")})


def decoded(decode: Callable[[str], V], row: str, place: str) -> V:
    """What *row* stands for. Raises Unreadable with the *place* of a row that makes no sense."""
    try:
        return decode(row)
    except BadInput as error:
        raise Unreadable(f"cannot read a row of {place}: {error}") from error
