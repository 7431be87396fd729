"""Tasks for histories: small, few, and quick to get in each other's way."""

from dataclasses import replace

from agent.model.names import Image, TaskArn
from agent.model.parts import (
    Condition,
    Dependency,
    Link,
    Mount,
    RestartPolicy,
    Scope,
    Volume,
    VolumeKind,
    VolumesFrom,
)
from agent.model.task import ContainerSpec, PortMapping, TaskSpec
from tests.engine.sim_host import TOKEN
from tests.engine.tape import Tape

IMAGES = (Image("busybox:1"), Image("nginx:1"))
UNREADABLE = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/c/unreadable")

JOB = ("job",)
"""The command of a container that comes to its end by itself, with exit code 0."""

FIXED = 41000
"""The first port that task definitions fix; those which the agent chooses are smaller."""
OWN = Volume("own")
POOL = Volume("pool", kind=VolumeKind.DOCKER, scope=Scope.SHARED, autoprovision=True)


def plan(tape: Tape, most: int) -> tuple[TaskSpec, ...]:
    """One to *most* tasks of one to three containers."""
    return tuple(_task(tape, number, most) for number in range(1 + tape.below(most)))


def started_again(spec: TaskSpec) -> TaskSpec:
    """*spec* with containers that are started again after every fall, however soon."""
    policy = RestartPolicy(ignored_exit_codes=(0,), attempt_period=0.0)
    return replace(spec, containers=tuple(replace(one, restart=policy) for one in spec.containers))


def _task(tape: Tape, number: int, most: int) -> TaskSpec:
    arn = TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/c/{number}")
    count = 1 + tape.below(most)
    containers = [_container(tape, f"c{place}", essential=place == 0) for place in range(count)]
    turn = tape.below(2) if count > 1 else 0
    for place in range(1, count):
        needy, needed = (place - 1, place) if turn else (place, place - 1)
        containers[needy], containers[needed] = _joined(tape, containers[needy], containers[needed])
    spec = TaskSpec(arn=arn, family="web", version="1", containers=tuple(containers))
    return _furnished(spec, tape.below(64), number)


def _furnished(spec: TaskSpec, traits: int, number: int) -> TaskSpec:
    """The task, which now takes memory or a port of the host, and needs volumes and values."""
    volumes = (OWN,) * bool(traits & 1) + (POOL,) * bool(traits & 2)
    first, *rest = spec.containers
    first = replace(
        first,
        mounts=tuple(Mount(volume.name, f"/{volume.name}") for volume in volumes),
        secrets=(TOKEN,) if traits & 4 else (),
        ports=(*first.ports, PortMapping(90, FIXED, count=2)) if traits & 32 else first.ports,
    )
    return replace(
        spec,
        containers=(first, *rest),
        memory=(0, 0, 60, 100)[traits >> 3 & 3],
        volumes=volumes,
        execution_credentials_id=f"exec-{number}" if traits & 4 else "",
    )


def _container(tape: Tape, name: str, *, essential: bool) -> ContainerSpec:
    traits = tape.below(64)
    return ContainerSpec(
        name=name,
        image=IMAGES[traits & 1],
        essential=essential == (not traits & 16),
        ports=(PortMapping(80),) if traits & 2 else (),
        command=("stubborn",) if traits & 4 else (),
        stop_timeout=3.0 if traits & 8 else None,
        restart=RestartPolicy(ignored_exit_codes=(0,), attempt_period=1.0) if traits & 32 else None,
    )


def _joined(tape: Tape, needy: ContainerSpec, needed: ContainerSpec) -> tuple[ContainerSpec, ContainerSpec]:
    """The two, the first of which now waits for something of the second."""
    name, choice = needed.name, tape.below(8)
    if tape.rarely(4):
        needed = replace(needed, start_timeout=20.0)
    match choice:
        case 2:
            return replace(needy, depends_on=(Dependency(name),)), needed
        case 3 | 4:
            condition = Condition.COMPLETE if choice == 3 else Condition.SUCCESS
            return replace(needy, depends_on=(Dependency(name, condition),)), replace(
                needed, command=JOB, essential=False
            )
        case 5:
            healthy = Dependency(name, Condition.HEALTHY)
            return replace(needy, depends_on=(healthy,)), replace(needed, health_check=True)
        case 6:
            return replace(needy, links=(Link(name, "other"),)), needed
        case 7:
            return replace(needy, volumes_from=(VolumesFrom(name),)), needed
        case _:
            return needy, needed
