import json
from dataclasses import replace

import pytest

from agent.model.names import TaskArn
from agent.model.reports import TaskReport
from agent.model.saved import OutboxRow
from agent.model.status import Status
from agent.model.task import Binding, Container, Task, Transport
from agent.operator import views
from agent.operator.chronicle import Line
from tests.operator.scene import ARN, OTHER, T0, a_task, after, ended
from tests.operator.test_waits import Vault


def shown(task: Task, story: tuple[Line, ...] = (), unsent: tuple[OutboxRow, ...] | None = ()) -> views.View:
    return views.in_full(task, story=story, unsent=unsent, pulls={}, credentials=Vault())


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (ARN, [ARN]),
        ("0123456789abcdef0123456789abcdef", [ARN]),
        ("01234", [ARN]),
        ("0123", [ARN, OTHER]),
        ("9", []),
        ("", []),
    ],
)
def test_a_task_is_meant_by_its_arn_its_id_or_the_beginning_of_it(question: str, found: list[str]) -> None:
    assert views.matches(question, (OTHER, ARN)) == found


def test_an_id_that_begins_another_means_itself() -> None:
    short, long = (TaskArn(f"{ARN.rpartition('/')[0]}/{one}") for one in ("aa", "aab"))
    assert views.matches("aa", (short, long)) == [short]


def test_an_error_is_shown_whole_with_the_exit_code() -> None:
    task = ended()
    (container,) = shown(task)["containers"]
    assert container["reason"] == task["app"].reason
    assert len(container["reason"]) > 1024
    assert (container["exitCode"], container["known"]) == (127, "STOPPED")


def test_no_environment_no_configuration_and_no_draw_is_shown() -> None:
    text = json.dumps(shown(ended()) | views.in_brief(ended()))
    assert "PLANTED" not in text
    assert "d" * 40 not in text


def test_the_last_failure_of_a_container_is_shown_while_it_is_tried_again() -> None:
    story = (
        Line(T0, "PullImage app:1 failed", "app", "first"),
        Line(T0, "PullImage app:1 failed", "app", "second"),
        Line(T0, "another", "db", "third"),
    )
    assert shown(a_task(Container("app")), story)["containers"][0]["lastFailure"] == "second"


def test_times_stand_in_their_order_with_a_restart_and_with_what_ecs_was_told() -> None:
    app = Container(
        "app", Status.RUNNING, created_at=after(2), started_at=after(9), first_started_at=after(3), restarts=4
    )
    task = replace(a_task(app), pull_started_at=after(1), pull_stopped_at=after(1.5))
    story = (Line(after(3.5), "to be told to ECS: task RUNNING"), Line(after(8), "StartContainer", "app"))
    assert [entry["what"] for entry in shown(task, story)["timeline"]] == [
        "arrived",
        "admitted",
        "pull started",
        "pull ended",
        "app created",
        "app started for the first time",
        "to be told to ECS: task RUNNING",
        "app started, restart 4",
    ]
    assert shown(task)["timeline"][0] == {"at": "2026-01-01T00:00:00+00:00", "what": "arrived"}


def test_reports_that_wait_are_counted_for_this_task_alone() -> None:
    rows = tuple(OutboxRow(n, TaskReport(arn, Status.STOPPED, True, T0)) for n, arn in enumerate((ARN, OTHER, ARN)))  # noqa: FBT003
    assert shown(ended(), unsent=rows)["reportsWaiting"] == 2
    assert shown(ended(), unsent=None)["reportsWaiting"] is None


def test_ports_are_shown_as_docker_published_them() -> None:
    app = Container("app", Status.RUNNING, bindings=(Binding(80, 50000, Transport.TCP, "0.0.0.0", 3),))
    (port,) = shown(a_task(app))["containers"][0]["ports"]
    assert port == {"containerPort": 80, "hostPort": 50000, "protocol": "tcp", "count": 3, "bindIp": "0.0.0.0"}
