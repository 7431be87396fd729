"""Small values for the store's tests."""

from dataclasses import replace
from datetime import UTC, datetime

from agent.model.names import Image, TaskArn
from agent.model.reports import ContainerReport, TaskReport
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec, Tombstone

T0 = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def arn(name: str) -> TaskArn:
    return TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/default/{name}")


def a_task(name: str = "a", **fields: object) -> Task:
    spec = TaskSpec(
        arn=arn(name),
        family="web",
        version="3",
        containers=(ContainerSpec(name="main", image=Image("busybox:1"), environment={"GREETING": "hello"}),),
        task_credentials_id=f"id-of-{name}",
    )
    task = Task(spec=spec, containers=(Container(name="main"),), arrived=T0)
    return replace(task, **fields)  # type: ignore[arg-type] # fields are named by the tests


def a_stone(name: str = "a") -> Tombstone:
    return Tombstone(arn=arn(name), at=T0)


def a_report(name: str = "a", status: Status = Status.RUNNING, *, moved: bool = True, reason: str = "") -> TaskReport:
    return TaskReport(
        task=arn(name),
        status=status,
        moved=moved,
        at=T0,
        reason=reason,
        containers=(ContainerReport(name="main", status=status),),
    )
