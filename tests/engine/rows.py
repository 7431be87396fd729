"""Tasks and events with which the engine's rules are tried, one value at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.engine import invariants
from agent.engine.engine import Engine
from agent.model.acts import Act, ContainerAct, CreateContainer, PullImage, StartContainer
from agent.model.decision import Decision
from agent.model.events import (
    ActFailed,
    ContainerAnswered,
    ContainerCreated,
    DeadlinePassed,
    Event,
    Fault,
    ImagePulled,
    Listed,
    ReportsSettled,
    TaskAssigned,
    TaskStopRequested,
)
from agent.model.names import DockerId, Image, Step, TaskArn
from agent.model.rules import Rules
from agent.model.seen import Labels, Phase, Seen
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, ImageSource, Task, TaskSpec

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ARN = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef0123456789abcdef")
OTHER = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/ffffffffffffffffffffffffffffffff")
RULES = Rules(stop_timeout=timedelta(seconds=30), first_port=50000, last_port=50009)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def spec(arn: TaskArn = ARN, *containers: ContainerSpec) -> TaskSpec:
    return TaskSpec(arn, "web", "1", containers or (ContainerSpec("app", Image("app:1"), essential=True),))


def seen(phase: Phase = Phase.RUNNING, *, arn: TaskArn = ARN, name: str = "app", run: int = 1, **more: object) -> Seen:
    labels = Labels("agent", "instance", arn, name, "web", "1", run=run)
    started = None if phase is Phase.CREATED else T0
    shown = Seen(DockerId(f"id-{name}"), f"ecs-{name}", labels, phase, started_at=started, created_at=T0)
    return replace(shown, **more)  # type: ignore[arg-type] # fields are named by the tests


def listed(*shown: Seen, asked: int = 0, gone: frozenset[DockerId] = frozenset()) -> Listed:
    return Listed(shown, frozenset(one.docker_id for one in shown), gone, Step(asked), T0)


class Play:
    """An engine, and the acts that it has asked for and that nobody has answered."""

    def __init__(self, *tasks: Task, heard: bool = True, rules: Rules = RULES) -> None:
        self.engine = Engine(rules, tasks)
        self.open: list[Act] = []
        self.decisions: list[Decision] = []
        if heard:
            self.hear(listed())

    def hear(self, event: Event) -> Decision:
        before = self.engine.snapshot()
        decision = self.engine.decide(event)
        invariants.check(before, self.engine.snapshot(), decision)
        self.decisions.append(decision)
        self.open += decision.acts
        return decision

    def assign(self, what: TaskSpec | None = None) -> Decision:
        return self.hear(TaskAssigned(what or spec(), T0, "0" * 40))

    def stop(self, arn: TaskArn = ARN) -> Decision:
        return self.hear(TaskStopRequested(arn, T0))

    def take(self, kind: type[Act], name: str = "") -> Act:
        for act in self.open:
            if isinstance(act, kind) and (not name or (isinstance(act, ContainerAct) and act.container == name)):
                self.open.remove(act)
                return act
        raise AssertionError(f"no {kind.__name__} in {self.open}")

    def pulled(self, image: str = "app:1") -> Decision:
        self.take(PullImage)
        return self.hear(ImagePulled(ImageSource(Image(image)), T0))

    def created(self, name: str = "app") -> Decision:
        act = self.take(CreateContainer, name)
        assert isinstance(act, CreateContainer)
        return self.hear(ContainerCreated(act, DockerId(f"id-{name}"), T0))

    def started(self, name: str = "app") -> Decision:
        return self.answer(StartContainer, seen(name=name), name)

    def answer(self, kind: type[Act], shown: Seen | None, name: str = "app") -> Decision:
        act = self.take(kind, name)
        assert isinstance(act, ContainerAct)
        return self.hear(ContainerAnswered(act, shown, T0))

    def fail(self, kind: type[Act], fault: Fault, reason: str = "no", *, at: datetime = T0, port: int = 0) -> Decision:
        return self.hear(ActFailed(self.take(kind), fault, reason, at, port))

    def list(self, *shown: Seen, gone: frozenset[DockerId] = frozenset()) -> Decision:
        """A listing that was asked for a moment ago."""
        return self.hear(listed(*shown, asked=self.engine.step, gone=gone))

    def settle(self, arn: TaskArn = ARN) -> Decision:
        """ECS has taken the end of the task."""
        return self.hear(ReportsSettled(frozenset({arn}), T0))

    def wake(self) -> Decision:
        """The next deadline passes. Where there is none, something has ended, and ECS takes that first."""
        due = self.engine.next_deadline()
        if due is None:
            for arn, task in self.engine.tasks.items():
                if task.told is Status.STOPPED:
                    self.settle(arn)
            due = self.engine.next_deadline()
        assert due is not None
        return self.hear(DeadlinePassed(due))

    def starting(self) -> "Play":
        self.assign()
        self.pulled()
        self.created()
        return self

    def running(self) -> "Play":
        return self.running_with(spec())

    def running_with(self, what: TaskSpec) -> "Play":
        self.assign(what)
        self.pulled()
        self.created()
        self.started()
        return self

    @property
    def task(self) -> Task:
        return self.engine.tasks[ARN]

    @property
    def app(self) -> Container:
        return self.task["app"]
