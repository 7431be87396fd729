from dataclasses import replace

from agent.model.acts import CreateContainer, FetchValues, ListContainers, PullImage
from agent.model.decision import Decision, Moved
from agent.model.events import ActBroke, ActFailed, AttachmentsFound, Fault, ImagePulled, ReportsSettled, TaskBroke
from agent.model.reports import ContainerReport, TaskReport
from agent.model.status import ResourceKind, Status
from agent.model.task import Container, ImageSource
from agent.operator.chronicle import MOST_LINES, Chronicle
from tests.operator.scene import APP, ARN, OTHER, T0, a_task, after

TASK = a_task(Container("app"))
SOURCE = ImageSource(APP.image)
CREATE = CreateContainer(ARN, "app", 1, "ecs-app", "web", "3", APP)


def told(chronicle: Chronicle) -> list[tuple[str, str]]:
    return [(line.container, line.text) for line in chronicle.of(ARN)]


def test_a_story_says_what_was_heard_what_it_came_to_and_what_is_told() -> None:
    chronicle = Chronicle()
    moved = Moved(ARN, "app", Status.NONE, Status.PULLED, "registry", after(1))
    report = TaskReport(ARN, Status.RUNNING, True, after(1), containers=(ContainerReport("app", Status.RUNNING),))  # noqa: FBT003
    chronicle.note(
        ImagePulled(SOURCE, after(1)),
        Decision((TASK,), reports=(report,), acts=(CREATE, ListContainers()), moves=(moved,)),
    )
    chronicle.note(ReportsSettled(frozenset({ARN}), after(2)), Decision())
    assert told(chronicle) == [
        ("app", "NONE -> PULLED, heard by ImagePulled from registry"),
        ("", "to be told to ECS: task RUNNING, app RUNNING"),
        ("app", "CreateContainer"),
        ("", "ECS has acknowledged everything that it was told"),
    ]
    assert [line.at for line in chronicle.of(ARN)] == [after(1)] * 3 + [after(2)]


def test_a_failure_is_told_whole_and_on_every_task_that_it_concerns() -> None:
    chronicle = Chronicle()
    reason = "CannotPullContainerError: " + "no " * 1000
    other = replace(TASK, spec=replace(TASK.spec, arn=OTHER))
    chronicle.note(
        ActFailed(PullImage(SOURCE), Fault.TRY_AGAIN, reason, T0), Decision((TASK, other), acts=(PullImage(SOURCE),))
    )
    for arn in (ARN, OTHER):
        failed, again = chronicle.of(arn)
        assert (failed.container, failed.failure) == ("app", reason)
        assert failed.text == f"PullImage app:1 failed (try_again): {reason}"
        assert (again.text, again.failure) == ("PullImage app:1", "")


def test_a_failure_that_changes_no_row_and_a_bug_are_told_too() -> None:
    chronicle = Chronicle()
    fetch = FetchValues(ARN, ResourceKind.VALUES, spec=TASK.spec)
    chronicle.note(ActFailed(fetch, Fault.TRY_AGAIN, "slow", T0), Decision())
    chronicle.note(ActBroke(CREATE, "KeyError in f, line 3", T0), Decision())
    chronicle.note(TaskBroke(ARN, "ValueError in g, line 4", T0), Decision())
    assert [(line.container, line.failure) for line in chronicle.of(ARN)] == [
        ("", "slow"),
        ("app", "KeyError in f, line 3"),
        ("", "ValueError in g, line 4"),
    ]
    assert "PLANTED" not in repr(chronicle.of(ARN))


def test_a_story_has_an_end_and_goes_with_its_task() -> None:
    chronicle = Chronicle()
    for number in range(MOST_LINES + 5):
        chronicle.note(TaskBroke(ARN, str(number), T0), Decision())
    lines = chronicle.of(ARN)
    assert (len(lines), lines[-1].failure) == (MOST_LINES, str(MOST_LINES + 4))
    chronicle.note(TaskBroke(OTHER, "x", T0), Decision(forgotten=(ARN,)))
    assert chronicle.of(ARN) == ()
    assert chronicle.of(OTHER) != ()


def test_what_is_attached_to_the_host_is_no_story_of_a_task_that_may_never_come() -> None:
    chronicle = Chronicle()
    report = TaskReport(ARN, Status.NONE, moved=True, at=T0, attachment="eni-1")

    chronicle.note(AttachmentsFound(frozenset({"0a"}), T0), Decision(reports=(report,)))

    assert chronicle.of(ARN) == ()
