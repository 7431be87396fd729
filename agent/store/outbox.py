"""Unsent reports on disk. Functions run on the database's thread, inside its transaction."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.saved import OutboxRow
from agent.store import rows
from agent.store.tasks import decoded

ALL = -1


def append(connection: sqlite3.Connection, reports: Iterable[TaskReport]) -> None:
    """Add *reports* behind those that wait."""
    connection.executemany(
        "INSERT INTO outbox (task, report) VALUES (?, ?)",
        [(report.subject, rows.text_of(report)) for report in reports],
    )


def unsent(connection: sqlite3.Connection, after: int, most: int = ALL) -> tuple[OutboxRow, ...]:
    """Rows with a number above *after*, in order, *most* of them. Raises Unreadable for one that makes no sense."""
    text = "SELECT number, call, report FROM outbox WHERE number > ? ORDER BY number LIMIT ?"
    found = connection.execute(text, (after, most))
    return tuple(
        OutboxRow(number, decoded(rows.report_from, report, f"outbox, {number}"), call)
        for number, call, report in found
    )


def backlog(connection: sqlite3.Connection) -> tuple[int, datetime | None]:
    """How many rows there are, and when the oldest came about."""
    (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    oldest = unsent(connection, 0, 1)
    return count, oldest[0].report.at if oldest else None


def freeze(connection: sqlite3.Connection, numbers: Iterable[int], call: int) -> None:
    """Bind rows to a call."""
    connection.executemany("UPDATE outbox SET call = ? WHERE number = ?", [(call, number) for number in numbers])


def settle(connection: sqlite3.Connection, numbers: Iterable[int]) -> frozenset[TaskArn]:
    """Delete rows; gives their tasks that have none left, and likewise attachments that belong to no task."""
    tasks: set[TaskArn] = set()
    for number in numbers:
        found = connection.execute("SELECT task FROM outbox WHERE number = ?", (number,)).fetchone()
        if found is not None:
            tasks.add(TaskArn(found[0]))
            connection.execute("DELETE FROM outbox WHERE number = ?", (number,))
    return frozenset(
        task
        for task in tasks
        if connection.execute("SELECT 1 FROM outbox WHERE task = ? LIMIT 1", (task,)).fetchone() is None
    )
