"""Rows of tasks, and samples, for the tests of this room."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.model.figures import Interface, Sample
from agent.model.names import DockerId, Image, TaskArn
from agent.model.parts import RestartPolicy
from agent.model.status import Health, Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec
from agent.tcs.settings import TcsSettings

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
INSTANCE = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef"
WHO = TcsSettings("demo", INSTANCE, agent_version="1.105.1", agent_hash="a8b3e7d3", docker_version="25.0.14")
MIB = 1 << 20


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_sample(
    second: float,
    cpu: int = 0,
    memory: int = 0,
    *,
    read: int = 0,
    written: int = 0,
    rx: int | None = None,
    tx: int = 0,
    docker_id: str = "a1",
) -> Sample:
    network = None if rx is None else {"eth0": Interface(rx_bytes=rx, tx_bytes=tx)}
    return Sample(later(second), DockerId(docker_id), cpu, memory, read, written, network)


def a_task(
    number: int = 1,
    *names: str,
    mode: str = "bridge",
    policy: bool = False,
    checked: bool = False,
    known: Status = Status.RUNNING,
    health: Health = Health.UNKNOWN,
) -> Task:
    """A task whose containers run; the Docker id of container ``x`` of task 1 is ``x1``."""
    specs = tuple(
        ContainerSpec(
            name, Image("busybox"), restart=RestartPolicy() if policy else None, health_check=checked, essential=True
        )
        for name in names or ("a",)
    )
    spec = TaskSpec(TaskArn(f"arn:task/{number}"), "shop", "7", specs, network_mode=mode)
    containers = tuple(
        Container(
            one.name,
            known=known,
            docker_id=DockerId(f"{one.name}{number}"),
            started_at=NOW,
            health=health,
            health_since=None if health is Health.UNKNOWN else later(-9.5),
        )
        for one in specs
    )
    return Task(spec, containers, NOW, known=known)


def restarted(task: Task, times: int) -> Task:
    return replace(
        task,
        containers=tuple(
            replace(one, restarts=times, started_at=later(times), run=times + 1) for one in task.containers
        ),
    )
