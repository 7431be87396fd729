"""Tasks for histories: small, few, and quick to get in each other's way."""

from agent.model.names import Image, TaskArn
from agent.model.task import ContainerSpec, PortMapping, TaskSpec
from tests.engine.tape import Tape

IMAGES = (Image("busybox:1"), Image("nginx:1"))
UNREADABLE = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/c/unreadable")


def plan(tape: Tape, most: int) -> tuple[TaskSpec, ...]:
    """One to *most* tasks of one or two containers."""
    return tuple(_task(tape, number, min(most, 2)) for number in range(1 + tape.below(most)))


def _task(tape: Tape, number: int, most: int) -> TaskSpec:
    arn = TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/c/{number}")
    count = 1 + tape.below(most)
    containers = tuple(_container(tape, f"c{place}", essential=place == 0) for place in range(count))
    return TaskSpec(arn=arn, family="web", version="1", containers=containers)


def _container(tape: Tape, name: str, *, essential: bool) -> ContainerSpec:
    traits = tape.below(32)
    return ContainerSpec(
        name=name,
        image=IMAGES[traits & 1],
        essential=essential == (not traits & 16),
        ports=(PortMapping(80),) if traits & 2 else (),
        command=("stubborn",) if traits & 4 else (),
        stop_timeout=3.0 if traits & 8 else None,
    )
