import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from agent.engine.draft import TaskIsBroken
from agent.engine.engine import Engine
from agent.model.acts import (
    Act,
    CreateContainer,
    CreateVolume,
    ListContainers,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from agent.model.decision import Decision
from agent.model.events import (
    ActBroke,
    ContainerAnswered,
    ContainerCreated,
    DeadlinePassed,
    Event,
    ImagePulled,
    Listed,
    Reclaim,
    ReportsSettled,
    ResourceReady,
    TaskAssigned,
    TaskStopRequested,
)
from agent.model.names import DockerId, Image, Step, TaskArn
from agent.model.parts import Mount, Volume
from agent.model.rules import Rules
from agent.model.saved import Saved
from agent.model.seen import Labels, Phase, Seen
from agent.model.status import Status
from agent.model.task import ContainerSpec, TaskSpec
from agent.runner.loop import Runner

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ARN = TaskArn("arn:aws:ecs:us-east-1:123456789012:task/default/0123456789abcdef0123456789abcdef")
SPEC = TaskSpec(ARN, "web", "1", (ContainerSpec("app", Image("app:1"), essential=True),))
ASSIGNED = TaskAssigned(SPEC, T0, "0" * 40)
LISTED = Listed((), frozenset(), frozenset(), Step(0), T0)


class GatedJournal:
    """Commits when the gate is open; has it on the disk when that takes it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.disk = asyncio.Event()
        self.disk.set()
        self.commits: list[Decision] = []

    async def load(self) -> Saved:
        return Saved((), ())

    async def commit(self, decision: Decision) -> None:
        await self.gate.wait()
        self.commits.append(decision)

    @property
    def is_durable(self) -> bool:
        return self.disk.is_set()

    async def saved(self) -> None:
        await self.disk.wait()


class Script:
    """Performs acts by a function, and remembers them."""

    def __init__(self, answer: Callable[[Act], Event | None]) -> None:
        self.acts: list[Act] = []
        self.changed = asyncio.Condition()
        self._answer = answer

    async def perform(self, act: Act) -> Event | None:
        async with self.changed:
            self.acts.append(act)
            self.changed.notify_all()
        return self._answer(act)

    async def until(self, kind: type[Act]) -> Act:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: any(isinstance(act, kind) for act in self.acts))
        return next(act for act in self.acts if isinstance(act, kind))


def seen(phase: Phase) -> Seen:
    labels = Labels("agent", "instance", ARN, "app", "web", "1")
    return Seen(DockerId("c1"), "name", labels, phase, started_at=T0)


def obliging(act: Act) -> Event | None:
    match act:
        case PullImage(source=source):
            return ImagePulled(source, T0)
        case CreateContainer():
            return ContainerCreated(act, DockerId("c1"), T0)
        case StartContainer():
            return ContainerAnswered(act, seen(Phase.RUNNING), T0)
        case StopContainer():
            return ContainerAnswered(act, seen(Phase.EXITED), T0)
        case _:
            return None


Story = Callable[[Runner, Engine, GatedJournal, Script], Awaitable[None]]


def play(
    story: Callable[[Runner, Engine, GatedJournal, Script], Awaitable[None]],
    answer: Callable[[Act], Event | None] = obliging,
    engine: Engine | None = None,
) -> None:
    engine = engine or Engine(Rules())

    async def whole() -> None:
        journal, script = GatedJournal(), Script(answer)
        runner = Runner(engine, journal, clock=lambda: T0, monotonic=lambda: 0.0, after_commit=lambda _: None)
        running = asyncio.create_task(runner.run(script))
        try:
            await story(runner, engine, journal, script)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())


async def settle(runner: Runner, engine: Engine) -> None:
    """Let ECS have taken the task's end: what is left of it stays until then."""
    while engine.tasks[ARN].told is not Status.STOPPED:
        await runner.submit()
    await runner.submit(ReportsSettled(frozenset({ARN}), T0))


def test_nobody_hears_saved_and_docker_hears_nothing_before_the_commit() -> None:
    async def story(runner: Runner, _engine: Engine, journal: GatedJournal, script: Script) -> None:
        await runner.submit(LISTED)
        journal.gate.clear()
        waiting = asyncio.ensure_future(runner.submit(ASSIGNED))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        assert not script.acts

        journal.gate.set()
        await waiting
        await script.until(PullImage)
        assert journal.commits[0].tasks[0].arn == ARN

    play(story)


def test_a_task_goes_all_the_way_and_each_change_is_committed_once() -> None:
    async def story(runner: Runner, engine: Engine, journal: GatedJournal, script: Script) -> None:
        await runner.submit(LISTED, ASSIGNED)
        await script.until(StartContainer)
        await runner.submit(TaskStopRequested(ARN, T0))
        await script.until(StopContainer)
        while engine.tasks[ARN].known is not Status.STOPPED:
            await runner.submit()

        told = [report.status for decision in journal.commits for report in decision.reports]
        assert told == [Status.RUNNING, Status.STOPPED]

    play(story)


def test_while_the_disk_does_not_have_it_acts_leave_and_who_asked_for_it_to_be_saved_waits() -> None:
    async def story(runner: Runner, _engine: Engine, journal: GatedJournal, script: Script) -> None:
        await runner.save(LISTED)
        journal.disk.clear()
        waiting = asyncio.ensure_future(runner.save(ASSIGNED))
        await script.until(StartContainer)
        await runner.submit(TaskStopRequested(ARN, T0))
        await script.until(StopContainer)
        assert not waiting.done()

        journal.disk.set()
        async with asyncio.timeout(5):
            await waiting

    play(story)


def test_what_leads_back_to_no_task_is_made_only_once_the_disk_has_its_row() -> None:
    """A container has labels; a volume that was made for a row that a kill then took would stay for ever."""
    app = ContainerSpec("app", Image("app:1"), essential=True, mounts=(Mount("own", "/own"),))
    spec = TaskSpec(ARN, "web", "1", (app,), volumes=(Volume("own"),))

    def making(act: Act) -> Event | None:
        return ResourceReady(act, T0) if isinstance(act, CreateVolume) else obliging(act)

    async def story(runner: Runner, _engine: Engine, journal: GatedJournal, script: Script) -> None:
        await runner.save(LISTED)
        journal.disk.clear()
        await runner.submit(TaskAssigned(spec, T0, "0" * 40))
        await script.until(PullImage)
        await runner.submit()
        assert not any(isinstance(act, CreateVolume) for act in script.acts)
        journal.disk.set()
        await script.until(StartContainer)

    play(story, making)


@pytest.mark.parametrize("begins_on_disk", [False, True])
def test_the_container_of_a_task_that_the_disk_has_not_begun_stays_until_the_disk_knows(
    *, begins_on_disk: bool
) -> None:
    """A kill would take the row back to before the task's start: once its container is gone, it would run again."""

    async def story(runner: Runner, engine: Engine, journal: GatedJournal, script: Script) -> None:
        await runner.save(LISTED)
        if not begins_on_disk:
            journal.disk.clear()
        await runner.submit(ASSIGNED)
        async with asyncio.timeout(5):
            while engine.tasks[ARN].known is not Status.RUNNING:
                await runner.submit()
        journal.disk.clear()
        await runner.submit(TaskStopRequested(ARN, T0))
        await settle(runner, engine)
        await runner.submit(Reclaim(1, T0))
        if not begins_on_disk:
            await asyncio.sleep(0.05)
            assert not any(isinstance(act, RemoveContainer) for act in script.acts)
            journal.disk.set()
        await script.until(RemoveContainer)

    play(story)


def test_an_exception_in_an_act_stops_its_own_task_only() -> None:
    other = TaskSpec(TaskArn(ARN[:-1] + "e"), "web", "1", (ContainerSpec("app", Image("other:1"), essential=True),))

    def breaking(act: Act) -> Event | None:
        if isinstance(act, CreateContainer) and act.task == ARN:
            raise ZeroDivisionError("PLANTED")
        return obliging(act)

    async def story(runner: Runner, engine: Engine, _journal: GatedJournal, _script: Script) -> None:
        await runner.submit(LISTED, ASSIGNED, TaskAssigned(other, T0, "1" * 40))
        async with asyncio.timeout(5):
            while not (engine.tasks[ARN].broken and engine.tasks[other.arn].known is Status.RUNNING):
                await runner.submit()
        assert "ZeroDivisionError in " in engine.tasks[ARN].reason

    with capture_logs() as logs:
        play(story, breaking)
    (told,) = (line for line in logs if line["event"] == "act_broke")
    assert told["act"] == "CreateContainer 01234567/app"
    assert "test_loop.py" in told["trace"]


def test_what_a_bug_says_reaches_neither_ecs_nor_the_log() -> None:
    """Its text may hold what it met: a KeyError quotes the key, a failed conversion the value."""
    value = "PLANTED"
    other = TaskSpec(TaskArn(ARN[:-1] + "e"), "web", "1", (ContainerSpec("app", Image("other:1"), essential=True),))

    class Breaking(Engine):
        def decide(self, event: Event) -> Decision:
            task = self.tasks.get(other.arn)
            if isinstance(event, ContainerCreated) and event.act.task == other.arn and task and not task.broken:
                try:
                    raise KeyError(value)  # noqa: TRY301 -- caught as the engine catches its own
                except KeyError as bug:
                    raise TaskIsBroken(other.arn, bug) from bug
            return super().decide(event)

    def breaking(act: Act) -> Event | None:
        if isinstance(act, CreateContainer) and act.task == ARN:
            raise ValueError(value)
        return obliging(act)

    async def story(runner: Runner, engine: Engine, journal: GatedJournal, _script: Script) -> None:
        await runner.submit(LISTED, ASSIGNED, TaskAssigned(other, T0, "1" * 40))
        async with asyncio.timeout(5):
            while not all(engine.tasks[arn].broken for arn in (ARN, other.arn)):
                await runner.submit()
        assert "ValueError in " in engine.tasks[ARN].reason
        assert "KeyError in " in engine.tasks[other.arn].reason
        assert value not in repr(journal.commits)

    with capture_logs() as logs:
        play(story, breaking, Breaking(Rules()))
    assert {"act_broke", "task_broke"} <= {line["event"] for line in logs}
    assert value not in repr(logs)


def test_a_bug_that_belongs_to_no_task_ends_the_runner() -> None:
    async def whole() -> None:
        runner = Runner(
            Engine(Rules()), GatedJournal(), clock=lambda: T0, monotonic=lambda: 0.0, after_commit=lambda _: None
        )
        running = asyncio.ensure_future(runner.run(Script(obliging)))
        runner.post(ActBroke(ListContainers(), "boom", T0))
        async with asyncio.timeout(5):
            with pytest.raises(ExceptionGroup) as raised:
                await running
        assert "boom" in str(raised.value.exceptions[0])

    asyncio.run(whole())


def test_an_engine_that_breaks_over_and_over_ends_the_runner_instead_of_turning_in_circles() -> None:
    class Broken(Engine):
        def decide(self, event: Event) -> Decision:
            if isinstance(event, TaskAssigned):
                raise TaskIsBroken(ARN, ValueError("again"))
            return super().decide(event)

    async def whole() -> None:
        runner = Runner(
            Broken(Rules()), GatedJournal(), clock=lambda: T0, monotonic=lambda: 0.0, after_commit=lambda _: None
        )
        running = asyncio.ensure_future(runner.run(Script(obliging)))
        runner.post(LISTED, ASSIGNED)
        async with asyncio.timeout(5):
            with pytest.raises(ExceptionGroup, match="unhandled") as raised:
                await running
        assert raised.group_contains(TaskIsBroken)

    asyncio.run(whole())


def test_deadlines_pass_when_nothing_else_happens() -> None:
    async def whole() -> None:
        now = T0
        engine, journal = Engine(Rules(cleanup_wait=timedelta(seconds=0.01))), GatedJournal()
        script = Script(obliging)
        runner = Runner(
            engine,
            journal,
            clock=lambda: now,
            monotonic=lambda: now.timestamp() - T0.timestamp(),
            after_commit=lambda _: None,
        )
        running = asyncio.create_task(runner.run(script))
        await runner.submit(LISTED, ASSIGNED)
        await script.until(StartContainer)
        await runner.submit(TaskStopRequested(ARN, T0))
        await script.until(StopContainer)
        await settle(runner, engine)
        now = T0 + timedelta(minutes=1)
        await runner.submit()
        await script.until(RemoveContainer)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())


def test_a_deadline_passes_also_while_the_inbox_is_never_empty() -> None:
    async def whole() -> None:
        posted, late, decided_after = 0, False, list[int]()

        class Noting(Engine):
            def decide(self, event: Event) -> Decision:
                if isinstance(event, DeadlinePassed):
                    decided_after.append(posted)
                return super().decide(event)

        def clock() -> datetime:
            nonlocal posted
            if late and posted < 100:  # somebody always has something to say before the runner looks
                posted += 1
                runner.post(TaskStopRequested(ARN, T0))
            return T0 + timedelta(minutes=1) if late else T0

        def monotonic() -> float:
            return 60.0 if late else 0.0

        script = Script(obliging)
        engine = Noting(Rules(cleanup_wait=timedelta(seconds=30)))
        runner = Runner(engine, GatedJournal(), clock=clock, monotonic=monotonic, after_commit=lambda _: None)
        running = asyncio.create_task(runner.run(script))
        await runner.submit(LISTED, ASSIGNED)
        await script.until(StartContainer)
        await runner.submit(TaskStopRequested(ARN, T0))
        await settle(runner, engine)
        late = True
        await runner.submit()
        await script.until(RemoveContainer)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert decided_after[0] < 100

    asyncio.run(whole())


def test_one_call_that_hangs_delays_its_own_container_only() -> None:
    spec = TaskSpec(ARN, "web", "1", tuple(ContainerSpec(name, Image(f"{name}:1")) for name in ("hangs", "beside")))
    other = TaskSpec(TaskArn(ARN[:-1] + "e"), "web", "1", (ContainerSpec("far", Image("far:1")),))

    class Hanging(Script):
        """Docker never answers one create call; whatever is asked about other containers it does."""

        async def perform(self, act: Act) -> Event | None:
            outcome = await super().perform(act)
            if isinstance(act, CreateContainer) and act.container == "hangs":
                await asyncio.Event().wait()
            return outcome

    async def whole() -> None:
        engine, script = Engine(Rules()), Hanging(obliging)
        runner = Runner(engine, GatedJournal(), clock=lambda: T0, monotonic=lambda: 0.0, after_commit=lambda _: None)
        running = asyncio.create_task(runner.run(script))
        async with asyncio.timeout(5):
            await runner.submit(LISTED, TaskAssigned(spec, T0, "0" * 40), TaskAssigned(other, T0, "1" * 40))
            async with script.changed:
                await script.changed.wait_for(
                    lambda: (
                        {act.container for act in script.acts if isinstance(act, StartContainer)} == {"beside", "far"}
                    )
                )
            assert any(isinstance(act, CreateContainer) and act.container == "hangs" for act in script.acts)
            await runner.submit(TaskStopRequested(other.arn, T0))
            await script.until(StopContainer)
        assert engine.tasks[ARN]["hangs"].known is Status.PULLED
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())
