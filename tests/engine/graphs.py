"""Tasks of up to eight containers that wait for each other in every way, and a world in which they come to their ends.

Docker answers at once or half a second later, images may be missing, programs end when they end, and health checks
come to a verdict or never do. Time is virtual: it goes from one happening to the next.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from agent.engine import invariants
from agent.engine.engine import Engine
from agent.model.acts import (
    Act,
    ContainerAct,
    CreateContainer,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.errors import GiveUp
from agent.model.events import (
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    ContainerRemoved,
    DeadlinePassed,
    Event,
    Fault,
    ImagePulled,
    Listed,
    Observed,
    TaskAssigned,
    TaskStopRequested,
)
from agent.model.names import Image, Step, TaskArn
from agent.model.parts import Condition, Dependency, Link, RestartPolicy, VolumesFrom
from agent.model.rules import Rules
from agent.model.status import Doing, Health, Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec
from tests.engine.sim_docker import NO_PROGRAM, SimContainer, SimDocker
from tests.engine.tape import Tape

T0 = datetime.fromisoformat("2026-01-15T12:00:00+00:00")
ARN = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/c/graph")
RULES = Rules(stop_timeout=timedelta(seconds=5), cleanup_wait=timedelta(days=1), agent="me", instance="here")
SLOW = 0.5
MOST = 8
MOST_EVENTS = 1000
"""More than the largest graph needs."""


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


@dataclass(slots=True)
class Play:
    """One task of one graph, played out."""

    graph: Graph
    tape: Tape
    docker: SimDocker = field(default_factory=lambda: SimDocker(T0))
    engine: Engine = field(default_factory=lambda: Engine(RULES))
    agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    count: int = 0
    heard: int = 0
    created: set[str] = field(default_factory=set)
    stops: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.hear(Listed((), frozenset(), frozenset(), Step(0), T0))
        self.hear(TaskAssigned(self.graph.spec, T0, "0" * 40))

    def stop(self) -> None:
        self.hear(TaskStopRequested(ARN, self.docker.now))

    @property
    def task(self) -> Task:
        return self.engine.tasks[ARN]

    def run(self, until: datetime | None = None) -> None:
        """Let happen what happens until nothing more does, or until *until*."""
        while (at := self.next_time()) is not None and (until is None or at <= until):
            self.docker.now = max(self.docker.now, at)
            if self.agenda and self.agenda[0][0] <= at:
                heapq.heappop(self.agenda)[2]()
            else:
                self.hear(DeadlinePassed(self.docker.now))
            if (later := self.next_time()) is None or later > self.docker.now:
                self.check_promptness()

    def next_time(self) -> datetime | None:
        times = [self.agenda[0][0]] if self.agenda else []
        deadline = self.engine.next_deadline()
        if deadline is not None and self.task.remove_at is None:
            times.append(deadline)
        return min(times, default=None)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.agenda, (self.docker.now + timedelta(seconds=seconds), self.count, what))

    def hear(self, event: Event) -> None:
        before = self.engine.snapshot()
        decision = self.engine.decide(event)
        self.heard += 1
        assert self.heard < MOST_EVENTS, "the engine spins"
        invariants.check(before, self.engine.snapshot(), decision)
        for act in decision.acts:
            self.send(act)

    # -- Docker -----------------------------------------------------------------------------------------------------

    def send(self, act: Act) -> None:
        if isinstance(act, CreateContainer):
            self.check_create(act)
        if isinstance(act, StopContainer):
            self.check_stop(act)
        if isinstance(act, ContainerAct | PullImage):
            self.later(self.tape.pick((0.0, 0.0, SLOW)), lambda: self.perform(act))

    def perform(self, act: Act) -> None:
        if isinstance(act, PullImage):
            self.hear(self.pull(act))
            return
        assert isinstance(act, ContainerAct)
        if not self.docker.is_ready(act):
            assert isinstance(act, StopContainer)
            self.later((act.kill_at - self.docker.now).total_seconds(), lambda: self.perform(act))
            return
        try:
            made = self.docker.effect(act)
        except GiveUp as error:
            self.hear(ActFailed(act, Fault.GIVE_UP, error.reason, self.docker.now))
            return
        if isinstance(act, CreateContainer):
            assert made is not None
            self.created.add(act.container)
            self.hear(ContainerCreated(act, made, self.docker.now))
        elif isinstance(act, RemoveContainer):
            self.hear(ContainerRemoved(act, self.docker.now))
        else:
            found = self.docker.find(act)
            if isinstance(act, StartContainer) and found is not None and found.runs:
                self.live(found)
            self.hear(ContainerAnswered(act, found.seen() if found else None, self.docker.now))

    def pull(self, act: PullImage) -> Event:
        name = act.source.image.partition(":")[0]
        if self.graph.fates[name].has_image:
            self.docker.images.add(act.source.image)
            return ImagePulled(act.source, self.docker.now)
        return self.failure(act, "CannotPullContainerError: no such image there")

    def failure(self, act: Act, reason: str) -> ActFailed:
        return ActFailed(act, Fault.GIVE_UP, reason, self.docker.now)

    def live(self, found: SimContainer) -> None:
        """A run has begun: it is going to end, and to be checked."""
        fate, run = self.graph.fates[found.labels.container], found.starts
        if run <= len(fate.ends):
            after, code = fate.ends[run - 1]
            self.later(after, lambda: self.end(found, run, code))
        for seconds, health in fate.verdicts:
            self.later(seconds, partial(self.check_health, found, run, health))

    def end(self, found: SimContainer, run: int, code: int) -> None:
        if found.runs and found.starts == run:
            before = self.task[found.labels.container]
            self.docker.exit(found, code)
            self.hear(Observed(found.seen(), self.docker.now))
            self.check_restart(before, code)

    def check_health(self, found: SimContainer, run: int, health: Health) -> None:
        if found.runs and found.starts == run:
            self.docker.check(found, health)
            self.hear(Observed(found.seen(), self.docker.now))

    # -- what must be true, by what Docker shows ---------------------------------------------------------------------

    def of(self, name: str) -> SimContainer | None:
        return next((c for c in self.docker.containers.values() if c.labels.container == name), None)

    def edges(self) -> Iterator[tuple[ContainerSpec, Dependency]]:
        return ((spec, need) for spec in self.graph.spec.containers for need in spec.dependencies)

    def is_met(self, need: Dependency) -> bool:
        """Has the other container come to it? What is known to have ended may yet start again by policy."""
        found = self.of(need.container)
        if found is None:
            return False
        has_ended = not found.runs and found.starts > 0 and self.task[need.container].known is Status.STOPPED
        match need.condition:
            case Condition.CREATE:
                return True
            case Condition.START:
                return found.starts > 0
            case Condition.COMPLETE:
                return has_ended
            case Condition.SUCCESS:
                return has_ended and found.exit_code == 0
            case Condition.HEALTHY:
                return found.runs and found.health is Health.HEALTHY

    def check_create(self, act: CreateContainer) -> None:
        for need in act.spec.dependencies:
            assert self.is_met(need), f"{act.container} is created before {need.container} is {need.condition}"

    def check_stop(self, act: StopContainer) -> None:
        self.stops.append(act.container)
        for spec, need in self.edges():
            found = self.of(spec.name)
            if need.container == act.container and found is not None:
                assert not found.runs, f"{act.container} is stopped while {spec.name} runs"

    def check_restart(self, before: Container, code: int) -> None:
        """Whatever a policy covers starts again at once."""
        policy, after = self.task.asked(before.name).restart, self.task[before.name]
        if (
            policy is None
            or before.known is not Status.RUNNING
            or before.in_flight
            or self.task.wanted is Status.STOPPED
        ):
            return
        last = before.restarted_at or before.first_started_at
        assert last is not None
        is_due = (self.docker.now - last).total_seconds() >= policy.attempt_period
        is_covered = is_due and code not in policy.ignored_exit_codes
        assert after.is_doing(Doing.START) == is_covered, (
            f"{before.name} ended with {code} after {self.docker.now - last}"
        )

    def check_promptness(self) -> None:
        """Nothing more happens at this moment: whoever may be created is on its way."""
        for spec, container in self.task.pairs():
            if self.waits(container) and not container.doing and container.wake_at is None:
                unmet = [need for need in spec.dependencies if not self.is_met(need)]
                assert unmet, f"{spec.name} could be created, and is not"

    def waits(self, container: Container) -> bool:
        return container.wanted is not Status.STOPPED and container.known < Status.CREATED

    def check_waits(self) -> None:
        """Nothing happens any more: whoever waits does so for one that runs or waits, and that has no time limit."""
        for spec, container in self.task.pairs():
            if not self.waits(container):
                continue
            unmet = [need for need in spec.dependencies if not self.is_met(need)]
            assert unmet, f"{spec.name} waits for nothing"
            for need in unmet:
                other, asked = self.task[need.container], self.task.asked(need.container)
                runs_for_ever = other.known is Status.RUNNING and asked.start_timeout is None
                assert self.waits(other) or runs_for_ever, f"{spec.name} waits for ever for {need}"

    def check_verdicts(self) -> None:
        """143 is of those who never were created, and says why."""
        for container in self.task.containers:
            if container.reason.startswith("CannotStartContainerError: dependency graph: "):
                assert container.exit_code == 143
                assert container.name not in self.created
