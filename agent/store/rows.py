"""Rows as text, and back.

A row is a JSON document of the model's own value, field by field. A field that a row does not have takes its default,
and one that this program does not know is ignored, so programs of different age read each other's rows.
"""

from typing import TypeVar

import msgspec

from agent.model.attachments import Attachment
from agent.model.errors import BadInput
from agent.model.reports import TaskReport
from agent.model.task import Task, Tombstone

V = TypeVar("V")

_encoder = msgspec.json.Encoder()
_task = msgspec.json.Decoder(Task)
_tombstone = msgspec.json.Decoder(Tombstone)
_report = msgspec.json.Decoder(TaskReport)
_attachment = msgspec.json.Decoder(Attachment)


def text_of(value: Task | Tombstone | TaskReport | Attachment) -> str:
    """The row that stands for *value*."""
    return _encoder.encode(value).decode()


def task_from(row: str | bytes) -> Task:
    """The task that *row* stands for. Raises BadInput."""
    return _read(_task, row)


def tombstone_from(row: str | bytes) -> Tombstone:
    """The tombstone that *row* stands for. Raises BadInput."""
    return _read(_tombstone, row)


def report_from(row: str | bytes) -> TaskReport:
    """The report that *row* stands for. Raises BadInput."""
    return _read(_report, row)


def attachment_from(row: str | bytes) -> Attachment:
    """The attachment that *row* stands for. Raises BadInput."""
    return _read(_attachment, row)


def _read(decoder: "msgspec.json.Decoder[V]", row: str | bytes) -> V:
    try:
        return decoder.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # the former end with the path: "... - at `$.spec.arn`"
        rule, _, path = str(error).partition(" - at ")
        raise BadInput(path.strip("`"), rule) from error
