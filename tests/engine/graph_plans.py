"""Tasks of up to eight containers that wait for each other in every way, and what becomes of each of them."""

from dataclasses import dataclass, replace
from datetime import timedelta

from agent.model.names import Image, TaskArn
from agent.model.parts import Condition, Dependency, Link, RestartPolicy, VolumesFrom
from agent.model.rules import Rules
from agent.model.status import Health
from agent.model.task import ContainerSpec, TaskSpec
from tests.engine.sim_docker import NO_PROGRAM
from tests.engine.tape import Tape

ARN = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/c/graph")
RULES = Rules(stop_timeout=timedelta(seconds=5), cleanup_wait=timedelta(days=1), agent="me", instance="here")
SLOW = 0.5
"""Seconds that Docker sometimes takes for an act."""
MOST = 8


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a container: how each run ends, and when its health check passes."""

    has_image: bool = True
    ends: tuple[tuple[float, int], ...] = ()
    """Seconds and exit code of each run; a run that is not here goes on until it is stopped."""
    verdicts: tuple[tuple[float, Health], ...] = ()
    """Seconds after each start, and what the health check says from then on."""

    def seconds(self) -> float:
        """How long it can take until nothing happens to it by itself."""
        return sum(after for after, _ in self.ends) + sum(after for after, _ in self.verdicts) * (1 + len(self.ends))


@dataclass(frozen=True, slots=True)
class Graph:
    """A task, and what becomes of each of its containers."""

    spec: TaskSpec
    fates: dict[str, Fate]

    def patience(self) -> timedelta:
        """The sum of all its time-outs, and of what is slow by itself."""
        seconds = 0.0
        for one in self.spec.containers:
            pulls_and_tries = 60.0  # five tries of a pull that fails
            acts = 4 * SLOW * (1 + len(self.fates[one.name].ends))
            stop = one.stop_timeout or RULES.stop_timeout.total_seconds()
            seconds += (one.start_timeout or 0) + self.fates[one.name].seconds() + pulls_and_tries + acts + stop
        return timedelta(seconds=seconds)


def graph(tape: Tape) -> Graph:
    """One to eight containers; each waits for up to three that stand before it in some order."""
    count = 1 + tape.below(MOST)
    limits = tape.below(3)
    specs: list[ContainerSpec] = []
    fates: dict[str, Fate] = {}
    for place in range(count):
        name = f"c{place}"
        spec, fates[name] = _container(tape, name, limits)
        for _ in range(tape.below(4) if place else 0):
            spec = _waiting(tape, spec, specs[tape.below(place)])
        specs.append(spec)
    if tape.below(2):
        specs.reverse()
    return Graph(TaskSpec(ARN, "web", "1", tuple(specs)), fates)


def _container(tape: Tape, name: str, limits: int) -> tuple[ContainerSpec, Fate]:
    traits, manner = tape.below(256), tape.below(8)
    ends: tuple[tuple[float, int], ...] = ()
    if manner in (1, 2, 3):
        ends = ((tape.pick((0.0, 1.0, 7.0)), tape.pick((0, 0, 3))),)
    restart = None
    if manner == 4:
        restart = RestartPolicy(ignored_exit_codes=(0,), attempt_period=2.0)
        ends = tuple((tape.pick((1.0, 3.0)), tape.pick((3, 0))) for _ in range(1 + tape.below(3)))
    verdicts: tuple[tuple[float, Health], ...] = (
        (float(1 + tape.below(9)), tape.pick((Health.HEALTHY, Health.HEALTHY, Health.UNHEALTHY))),
    )
    if tape.below(4) == 0:
        verdicts = ()
    elif tape.below(4) == 0:
        verdicts = (*verdicts, (float(10 + tape.below(9)), Health.HEALTHY))
    spec = ContainerSpec(
        name=name,
        image=Image(f"{name}:1"),
        essential=traits & 7 == 7,
        command=(NO_PROGRAM,) if manner == 5 and traits & 8 else ("stubborn",) if traits & 16 else (),
        stop_timeout=2.0 if traits & 32 else None,
        start_timeout=float(3 + tape.below(15)) if limits or traits & 64 else None,
        health_check=True,
        restart=restart,
    )
    return spec, Fate(has_image=manner != 6, ends=ends, verdicts=verdicts)


def _waiting(tape: Tape, spec: ContainerSpec, other: ContainerSpec) -> ContainerSpec:
    choice = tape.below(6)
    if choice == 4:
        return replace(spec, links=(*spec.links, Link(other.name, "other")))
    if choice == 5:
        return replace(spec, volumes_from=(*spec.volumes_from, VolumesFrom(other.name)))
    condition = (Condition.START, Condition.COMPLETE, Condition.SUCCESS, Condition.HEALTHY)[choice]
    return replace(spec, depends_on=(*spec.depends_on, Dependency(other.name, condition)))
