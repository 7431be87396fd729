"""Small values for the reporter's tests."""

from datetime import UTC, datetime

from agent.model.names import TaskArn
from agent.model.reports import ContainerReport, TaskReport
from agent.model.saved import OutboxRow
from agent.model.status import Status

T0 = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
RUNNING, STOPPED = Status.RUNNING, Status.STOPPED


def arn(name: str) -> TaskArn:
    return TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/default/{name}")


def a_report(name: str, status: Status, *containers: ContainerReport, moved: bool = True) -> TaskReport:
    return TaskReport(task=arn(name), status=status, moved=moved, at=T0, containers=containers)


def moved(number: int, name: str, status: Status, *containers: ContainerReport, call: int = 0) -> OutboxRow:
    """A row that tells a change of the task itself."""
    return OutboxRow(number, a_report(name, status, *containers), call)


def aside(number: int, name: str, status: Status, *containers: ContainerReport, call: int = 0) -> OutboxRow:
    """A row that tells of containers alone."""
    return OutboxRow(number, a_report(name, status, *containers, moved=False), call)


def container(name: str, status: Status, **fields: object) -> ContainerReport:
    return ContainerReport(name, status, **fields)  # type: ignore[arg-type] # fields are named by the tests
