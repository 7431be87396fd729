"""Tasks in many states, for the questions of people."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import Secret
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ARN = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef0123456789abcdef")
OTHER = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/0123ffffffffffffffffffffffffffff")

APP = ContainerSpec(
    "app",
    Image("app:1"),
    essential=True,
    environment={"NAME": "PLANTED-ENVIRONMENT"},
    docker_config='{"Env": ["A=PLANTED-CONFIG"]}',
    host_config='{"LogConfig": {"Config": {"token": "PLANTED-HOST"}}}',
    secrets=(Secret("PASSWORD", "arn:secret"),),
)
DB = ContainerSpec("db", Image("db:1"))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_task(app: Container, db: Container | None = None, spec: ContainerSpec = APP, arn: TaskArn = ARN) -> Task:
    """A task of one container, or of two."""
    specs = (spec,) if db is None else (spec, DB)
    containers = (app,) if db is None else (app, db)
    return Task(TaskSpec(arn, "web", "3", specs), containers, T0, "d" * 40, admitted=after(0.5))


def ended() -> Task:
    """A task that could not start, with a long error."""
    app = Container(
        "app",
        Status.STOPPED,
        Status.STOPPED,
        told=Status.STOPPED,
        docker_id=DockerId("c" * 64),
        exit_code=127,
        reason=f"CannotStartContainerError: {'far ' * 500}away",
        created_at=after(1),
        finished_at=after(3),
    )
    task = a_task(app)
    return replace(task, known=Status.STOPPED, wanted=Status.STOPPED, told=Status.STOPPED, stopped_at=after(4))
