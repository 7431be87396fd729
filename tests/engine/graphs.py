"""A world in which containers that wait for each other come to their ends.

Docker answers at once or half a second later, images may be missing, programs end when they end, and health checks
come to a verdict or never do. Time is virtual: it goes from one happening to the next.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from agent.model.names import Step
from agent.model.parts import Condition, Dependency
from agent.model.status import Doing, Health, Status
from agent.model.task import Container, ContainerSpec, Task
from tests.engine.graph_plans import ARN, RULES, SLOW, Graph
from tests.engine.sim_docker import SimContainer, SimDocker
from tests.engine.tape import Tape

T0 = datetime.fromisoformat("2026-01-15T12:00:00+00:00")
MOST_EVENTS = 1000
"""More than the largest graph needs."""


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
