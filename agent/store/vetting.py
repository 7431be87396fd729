"""Which rows can be used. Functions run on the database's thread, inside its transaction.

The whole file is refused only where it is not ours, or not of our form. A single row that makes no sense is put aside:

* A task's: its containers say the rest. They are found in Docker as those of an unknown task, which is rebuilt.
* A tombstone's, or one beside the row of a task, good or bad: tombstones have containers removed, so the task counts.
* An attachment's: ECS has a time-out of its own for it.
* A report's: nobody knows what ECS was to hear, so the task is told from the beginning; ECS takes a repetition once.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from agent.model.errors import BadInput
from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.status import Status
from agent.model.task import Task
from agent.store import rows
from agent.store.db import Unreadable

V = TypeVar("V")

COLUMNS = {
    "tasks": "arn, row",
    "tombstones": "arn, row",
    "outbox": "number, task, call, report",
    "owner": "agent, identity",
    "images": "id, row",
    "pulled": "image, row",
    "manifest": "number",
    "attachments": "arn, row",
    "aside": "at, place, row, error",
}
MOST_ASIDE = 1000
"""So many rows are kept that were put aside, the latest."""
UNKNOWN_REASON = "AgentError: the report of the task's end was damaged on the disk of its host"


@dataclass(frozen=True, slots=True)
class _Bad:
    table: str
    rowid: int
    key: str
    row: bytes
    error: str


def check(connection: sqlite3.Connection, agent: str, path: object) -> None:
    """Raises Unreadable unless the tables are ours, and their tasks those of *agent* (if there is one named)."""
    for table, columns in COLUMNS.items():
        connection.execute(f"SELECT {columns} FROM {table} LIMIT 0")  # noqa: S608 -- our own words
    owners = [_text(owner) for (owner,) in connection.execute("SELECT CAST(agent AS BLOB) FROM owner")]
    if agent and owners and owners != [agent]:
        raise Unreadable(f"cannot use {path}: its tasks are those of agent {', '.join(owners)}, and this is {agent}")


def vet(connection: sqlite3.Connection, now: datetime) -> tuple[tuple[str, str], ...]:
    """Put aside each row that makes no sense; gives their places and what is wrong with them."""
    tasks = tuple(_bad(connection, "tasks", "arn", rows.task_from, _is_task))
    stones = tuple(_bad(connection, "tombstones", "arn", rows.tombstone_from, lambda stone, arn: stone.arn == arn))
    reports = tuple(_bad(connection, "outbox", "task", rows.report_from, lambda report, arn: report.subject == arn))
    attached = tuple(_bad(connection, "attachments", "arn", rows.attachment_from, lambda one, arn: one.arn == arn))
    _put_aside(connection, (*tasks, *stones, *reports, *attached), now)
    beside = tuple(_beside(connection, {bad.key for bad in tasks}))
    _put_aside(connection, beside, now)
    for arn in dict.fromkeys(bad.key for bad in reports):
        _tell_anew(connection, TaskArn(arn))
    connection.execute("UPDATE outbox SET call = 0 WHERE typeof(call) <> 'integer'")
    connection.execute("DELETE FROM manifest WHERE typeof(number) <> 'integer'")
    keep = "DELETE FROM aside WHERE rowid <= (SELECT max(rowid) FROM aside) - ?"
    connection.execute(keep, (MOST_ASIDE,))
    return tuple((f"{bad.table}, {bad.key}", bad.error) for bad in (*tasks, *stones, *reports, *attached, *beside))


def _bad(
    connection: sqlite3.Connection,
    table: str,
    key: str,
    decode: Callable[[bytes], V],
    is_of: Callable[[V, str], bool],
) -> Iterator[_Bad]:
    column = "report" if table == "outbox" else "row"
    question = f"SELECT rowid, CAST({key} AS BLOB), CAST({column} AS BLOB) FROM {table}"  # noqa: S608 -- our own words
    for rowid, name, text in connection.execute(question).fetchall():
        who, row = _text(name), text or b""
        try:
            value = decode(row)
            error = "" if is_of(value, who) else "it is the row of another task"
        except BadInput as bad:
            error = str(bad)
        if error:
            yield _Bad(table, rowid, who, row, error)


def _is_task(task: Task, arn: str) -> bool:
    names = [one.name for one in task.spec.containers]
    return task.arn == arn and [one.name for one in task.containers] == names


def _beside(connection: sqlite3.Connection, bad: set[str]) -> Iterator[_Bad]:
    living = bad | {arn for (arn,) in connection.execute("SELECT arn FROM tasks")}
    for rowid, arn, row in connection.execute("SELECT rowid, arn, CAST(row AS BLOB) FROM tombstones").fetchall():
        if arn in living:
            yield _Bad("tombstones", rowid, arn, row, "there is a row of the task itself")


def _put_aside(connection: sqlite3.Connection, bad: tuple[_Bad, ...], now: datetime) -> None:
    connection.executemany(
        "INSERT INTO aside (at, place, row, error) VALUES (?, ?, ?, ?)",
        [(now.isoformat(), f"{one.table}, {one.key}", one.row, one.error) for one in bad],
    )
    for one in bad:
        connection.execute(f"DELETE FROM {one.table} WHERE rowid = ?", (one.rowid,))  # noqa: S608 -- our own words


def _tell_anew(connection: sqlite3.Connection, arn: TaskArn) -> None:
    for name, text in connection.execute("SELECT arn, row FROM attachments").fetchall():
        one = rows.attachment_from(text)
        if arn in (one.arn, one.task):
            connection.execute(
                "UPDATE attachments SET row = ? WHERE arn = ?", (rows.text_of(replace(one, told=False)), name)
            )
    found = connection.execute("SELECT row FROM tasks WHERE arn = ?", (arn,)).fetchone()
    if found is not None:
        task = _untold(rows.task_from(found[0]))
        connection.execute("UPDATE tasks SET row = ? WHERE arn = ?", (rows.text_of(task), arn))
        return
    buried = connection.execute("SELECT row FROM tombstones WHERE arn = ?", (arn,)).fetchone()
    if buried is not None:
        stone = rows.tombstone_from(buried[0])
        report = TaskReport(task=arn, status=Status.STOPPED, moved=True, at=stone.at, reason=UNKNOWN_REASON)
        connection.execute("INSERT INTO outbox (task, report) VALUES (?, ?)", (arn, rows.text_of(report)))


def _untold(task: Task) -> Task:
    containers = tuple(replace(one, told=Status.NONE, told_digest=False) for one in task.containers)
    return replace(task, containers=containers, told=Status.NONE, settled=False)


def _text(name: bytes | None) -> str:
    return (name or b"").decode(errors="replace")
