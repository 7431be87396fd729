"""The form of the journal's file, ``agent.db``.

A row is one JSON document (see rows.py): a new field needs no new form. Columns beside it exist only where a query
asks for them. A change of form is a new Step at the end; those above are never edited again.
"""

from agent.store.db import Step

STEPS = (
    Step(
        """
        CREATE TABLE tasks (
            arn TEXT PRIMARY KEY,
            row TEXT NOT NULL           -- model.task.Task
        );
        CREATE TABLE tombstones (
            arn TEXT PRIMARY KEY,
            row TEXT NOT NULL           -- model.task.Tombstone
        );
        CREATE TABLE outbox (
            number INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used twice: calls are named by it
            task TEXT NOT NULL,
            call INTEGER NOT NULL DEFAULT 0,            -- 0 until the row went into a call
            report TEXT NOT NULL                        -- model.reports.TaskReport
        );
        CREATE INDEX outbox_by_task ON outbox (task);
        """
    ),
    Step("CREATE TABLE owner (agent TEXT NOT NULL);   -- one row at most: the agent id whose tasks these are\n"),
    Step(
        """
        CREATE TABLE images (
            id TEXT PRIMARY KEY,        -- of Docker: sha256:...
            row TEXT NOT NULL           -- images.ports.Record
        );
        CREATE TABLE pulled (
            image TEXT PRIMARY KEY,     -- as the task definition has it
            row TEXT NOT NULL           -- images.ports.Pulled
        );
        """
    ),
    Step("CREATE TABLE manifest (number INTEGER NOT NULL);   -- one row at most: ECS's newest list of tasks\n"),
    Step(
        """
        ALTER TABLE owner ADD COLUMN identity TEXT NOT NULL DEFAULT '';     -- model.identity.Identity
        CREATE TABLE aside (        -- single rows that made no sense
            at TEXT NOT NULL,
            place TEXT NOT NULL,    -- the table and the key
            row BLOB NOT NULL,
            error TEXT NOT NULL
        );
        """
    ),
    Step(
        """
        CREATE TABLE attachments (
            arn TEXT PRIMARY KEY,
            row TEXT NOT NULL       -- model.attachments.Attachment
        );
        """
    ),
)
