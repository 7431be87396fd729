from dataclasses import replace

from agent.cli.explaining import lines
from agent.model.reports import TaskReport
from agent.model.saved import OutboxRow
from agent.model.status import Doing, Status
from agent.model.task import Binding, Container, Task, Transport
from agent.operator import views
from agent.operator.chronicle import Line
from tests.operator.scene import ARN, T0, a_task, after, ended
from tests.operator.test_waits import Far, Vault


def said(task: Task, *story: Line, unsent: tuple[OutboxRow, ...] = ()) -> str:
    view = views.in_full(task, story=story, unsent=unsent, pulls={"app:1": Far()}, credentials=Vault())
    return "\n".join(text for text, _ in lines(view))


def test_an_end_is_explained_with_its_whole_error() -> None:
    task = ended()
    text = said(task)
    assert text.splitlines()[0] == "web:3 is STOPPED"
    assert "essential container app is STOPPED, exit code 127" in text
    assert task["app"].reason in text
    assert "ECS has been told STOPPED" in text
    assert "app finished" in text


def test_an_error_that_is_known_from_several_sides_is_printed_once() -> None:
    task = ended()
    reason = task["app"].reason
    text = said(task, Line(T0, "StartContainer failed", "app", reason))
    assert text.count(reason) == 1


def test_what_is_waited_for_is_printed_and_how_far_it_has_come() -> None:
    text = said(a_task(Container("app", doing=(Doing.PULL,))), Line(after(1), "PullImage app:1", "app"))
    assert "web:3 is NONE, and is to be RUNNING" in text
    assert "waits for   its image app:1 (1 of 3 layers, 1.5 of 4.0 MiB)" in text
    assert "ECS has not been told anything yet" in text
    assert text.splitlines()[-1].endswith("app: PullImage app:1")


def test_what_ecs_knows_of_containers_alone_is_printed() -> None:
    text = said(a_task(Container("app", Status.RUNNING, told=Status.RUNNING)))
    assert "ECS has been told app RUNNING, and nothing of the task yet" in text


def test_reports_that_wait_are_printed_with_their_number() -> None:
    row = OutboxRow(1, TaskReport(ARN, Status.STOPPED, True, T0))  # noqa: FBT003
    assert "1 report to ECS not acknowledged yet; the last says STOPPED" in said(ended(), unsent=(row,))
    assert "2 reports to ECS" in said(ended(), unsent=(row, row))


def test_a_port_is_printed_as_one_and_a_range_as_its_ends() -> None:
    one, three = (Binding(80, 50000, Transport.TCP, "0.0.0.0", count) for count in (1, 3))
    text = said(a_task(Container("app", Status.RUNNING, bindings=(one, three), restarts=2)))
    assert "0.0.0.0:50000 -> 80/tcp" in text
    assert "0.0.0.0:50000-50002 -> 80-82/tcp" in text
    assert "restarts    2" in text


def test_the_times_say_how_long_each_step_took() -> None:
    task = replace(a_task(Container("app", Status.CREATED, created_at=after(2))), pull_started_at=after(1))
    steps = [line.split("  ")[-1] for line in said(task).partition("timeline")[2].splitlines() if line]
    assert steps == ["arrived", "admitted", "pull started", "app created"]
    assert "+1.000 s  app created" in said(task)
