import dataclasses
import json
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from agent.model.credentials import RoleCredentials, SigningKeys
from agent.model.errors import BadInput
from agent.model.reports import TaskReport
from agent.model.status import Doing, Status
from agent.model.task import Container, Task, Tombstone
from agent.store.rows import report_from, task_from, text_of, tombstone_from
from tests.store.any_value import of
from tests.store.made_up import T0, a_report, a_task, arn

FIRST_ROW = """
{"spec": {"arn": "arn:aws:ecs:us-east-1:123456789012:task/default/a", "family": "web", "version": "3",
          "containers": [{"name": "main", "image": "busybox:1", "environment": {"GREETING": "hello"}}],
          "task_credentials_id": "id-of-a"},
 "containers": [{"name": "main", "known": 3, "wanted": 4, "doing": ["stop"], "docker_id": "4c1f"}],
 "arrived": "2026-01-15T12:00:00Z"}
"""
"""A row as the first form of the journal had it, defaults left out. Every later program must read it."""


@given(of(Task))
def test_a_task_comes_back_as_it_was_written(task: Task) -> None:
    assert task_from(text_of(task)) == task


@given(of(Tombstone))
def test_a_tombstone_comes_back_as_it_was_written(stone: Tombstone) -> None:
    assert tombstone_from(text_of(stone)) == stone


@given(of(TaskReport))
def test_a_report_comes_back_as_it_was_written(report: TaskReport) -> None:
    assert report_from(text_of(report)) == report


def test_times_come_back_in_utc() -> None:
    assert task_from(text_of(a_task())).arrived.tzname() == "UTC"


def test_a_row_of_the_first_form_is_still_understood() -> None:
    main = Container(
        name="main",
        known=Status.RUNNING,
        wanted=Status.STOPPED,
        doing=(Doing.STOP,),
        docker_id="4c1f",  # type: ignore[arg-type] # a DockerId in the row is plain text
    )

    assert task_from(FIRST_ROW) == a_task(containers=(main,))


@given(of(Task))
def test_fields_of_a_later_program_are_ignored(task: Task) -> None:
    row = json.dumps(_with_more(json.loads(text_of(task))))

    assert task_from(row) == task


def test_a_field_that_an_earlier_program_did_not_write_takes_its_default() -> None:
    whole = json.loads(text_of(a_task()))
    optional = [field.name for field in dataclasses.fields(Task) if not _is_required(field)]
    assert optional
    for name in optional:
        row = json.dumps({key: value for key, value in whole.items() if key != name})

        assert task_from(row) == a_task(), name


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (text_of(a_task()).replace('"arrived":"', '"arrived":"x'), "$.arrived"),
        (text_of(a_task()).replace('"known":0', '"known":99'), "$.containers[0].known"),
        ("{", ""),
        (text_of(a_task()).encode().replace(b'"GREETING":"', b'"GREETING":"\xff'), ""),
    ],
)
def test_a_row_that_makes_no_sense_says_where(row: str | bytes, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        task_from(row)

    assert caught.value.path == path


def test_only_fields_without_a_default_are_required() -> None:
    with pytest.raises(BadInput, match="missing required field `spec`"):
        task_from("{}")
    with pytest.raises(BadInput, match="missing required field"):
        report_from(text_of(a_report()).replace('"moved":true,', ""))


def test_no_row_has_a_place_for_the_value_of_a_credential() -> None:
    reachable = {kind for row in (Task, Tombstone, TaskReport) for kind in _kinds(row)}

    assert Container in reachable
    assert not reachable & {RoleCredentials, SigningKeys}


def test_a_row_names_its_credentials_by_id() -> None:
    assert json.loads(text_of(a_task()))["spec"]["task_credentials_id"] == "id-of-a"
    assert task_from(text_of(a_task())).arn == arn("a")
    assert task_from(text_of(a_task())).arrived == T0


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


USERS = ("environment", "options", "labels")
"""Fields whose keys are the user's own."""


def _with_more(value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """The document as a later program would write it: one more field in every object that is not the user's."""
    if isinstance(value, dict):
        ours = {key: inner if key in USERS else _with_more(inner) for key, inner in value.items()}
        return {**ours, "later": {"x": [1]}}
    if isinstance(value, list):
        return [_with_more(inner) for inner in value]
    return value


def _kinds(kind: object) -> Iterator[object]:
    """Every dataclass that a value of *kind* may hold."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for inner in typing.get_type_hints(kind).values():
            yield from _kinds(inner)
    for inner in typing.get_args(kind):
        yield from _kinds(inner)
