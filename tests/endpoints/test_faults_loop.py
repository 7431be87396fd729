import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agent.endpoints.faults_loop import HostFaults
from agent.model.decision import Decision
from agent.model.faults import Blackhole, Fault, FaultOp, FaultPlace, Latency, Outcome, Traffic
from agent.model.names import Image, TaskArn
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task, TaskSpec, Transport

HOLE = Blackhole(80, Transport.TCP, Traffic.EGRESS)
LATE = Latency(5, 0, ("10.0.0.1",))


def a_task(name: str, mode: str = "host") -> Task:
    spec = TaskSpec(TaskArn(name), "f", "1", (ContainerSpec("c", Image("i")),), network_mode=mode, fault_injection=True)
    return Task(spec, (Container("c"),), datetime(2024, 1, 1, tzinfo=UTC), known=Status.RUNNING)


@dataclass
class Host:
    """The network of a host with the faults in it, and the tasks that run there."""

    there: list[Fault] = field(default_factory=list)
    tasks: dict[TaskArn, Task] = field(default_factory=dict)
    refuses: int = 0
    while_it_starts: Callable[[], Awaitable[None]] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def do(self, op: FaultOp, fault: Fault, place: FaultPlace) -> Outcome:
        assert place.is_host
        self.changed.set()
        if op is FaultOp.START:
            if self.while_it_starts:
                await self.while_it_starts()
            self.there.append(fault)
            return Outcome.RUNNING
        if self.refuses:
            self.refuses -= 1
            return Outcome.FAILED
        self.there = [one for one in self.there if one.kind is not fault.kind]
        return Outcome.STOPPED

    async def on_host(self) -> list[Fault]:
        return list(self.there)

    async def until_empty(self) -> None:
        async with asyncio.timeout(5):
            while self.there:
                self.changed.clear()
                await self.changed.wait()


def run(story: Callable[[Host, HostFaults], Awaitable[None]], host: Host, pauses: list[float] | None = None) -> None:
    async def live() -> None:
        async def pause(seconds: float) -> None:
            (pauses if pauses is not None else []).append(seconds)
            await asyncio.sleep(0)

        faults = HostFaults(host, host, pause)
        loop = asyncio.create_task(faults.run())
        try:
            await settled()
            await story(host, faults)
        finally:
            loop.cancel()

    asyncio.run(live())


async def settled() -> None:
    """Everything that can run now has run."""
    for _ in range(20):
        await asyncio.sleep(0)


def ended(host: Host, name: str) -> Decision:
    task = replace(host.tasks[TaskArn(name)], known=Status.STOPPED)
    host.tasks[TaskArn(name)] = task
    return Decision(tasks=(task,))


def test_a_fault_ends_with_the_last_task_that_asked_for_it() -> None:
    async def story(host: Host, faults: HostFaults) -> None:
        for name in ("a", "b"):
            assert await faults.start(HOLE, TaskArn(name)) is Outcome.RUNNING
        faults.hear(ended(host, "a"))
        await settled()
        assert HOLE in host.there
        faults.hear(ended(host, "b"))
        await host.until_empty()

    run(story, Host(tasks={TaskArn("a"): a_task("a"), TaskArn("b"): a_task("b")}))


def test_a_fault_of_a_task_that_is_forgotten_ends() -> None:
    async def story(host: Host, faults: HostFaults) -> None:
        await faults.start(LATE, TaskArn("a"))
        del host.tasks[TaskArn("a")]
        faults.hear(Decision(forgotten=(TaskArn("a"),)))
        await host.until_empty()

    run(story, Host(tasks={TaskArn("a"): a_task("a")}))


def test_a_task_that_ends_while_its_fault_is_made_leaves_none() -> None:
    host = Host(tasks={TaskArn("a"): a_task("a")})

    async def story(host: Host, faults: HostFaults) -> None:
        async def meanwhile() -> None:
            faults.hear(ended(host, "a"))
            await settled()

        host.while_it_starts = meanwhile
        await faults.start(HOLE, TaskArn("a"))
        await host.until_empty()

    run(story, host)


def test_one_that_was_stopped_is_not_stopped_again() -> None:
    async def story(host: Host, faults: HostFaults) -> None:
        await faults.start(HOLE, TaskArn("a"))
        assert await faults.stop(HOLE) is Outcome.STOPPED
        host.there.append(HOLE)  # somebody else's now
        faults.hear(ended(host, "a"))
        await settled()
        assert host.there == [HOLE]

    run(story, Host(tasks={TaskArn("a"): a_task("a")}))


def test_what_could_not_be_ended_is_tried_again_after_a_pause() -> None:
    pauses: list[float] = []

    async def story(host: Host, faults: HostFaults) -> None:
        await faults.start(HOLE, TaskArn("a"))
        faults.hear(ended(host, "a"))
        await host.until_empty()

    run(story, Host(tasks={TaskArn("a"): a_task("a")}, refuses=2), pauses)
    assert pauses == [30.0, 30.0]


def test_what_an_agent_finds_at_its_start_goes_where_nobody_runs_who_may_have_asked() -> None:
    async def story(host: Host, faults: HostFaults) -> None:
        await host.until_empty()

    other = a_task("c")
    silent = replace(other, spec=replace(other.spec, fault_injection=False))
    run(story, Host(there=[HOLE, LATE], tasks={TaskArn("b"): a_task("b", "bridge"), TaskArn("c"): silent}))


def test_else_it_stays_until_all_of_them_have_ended() -> None:
    async def story(host: Host, faults: HostFaults) -> None:
        assert host.there == [HOLE]
        faults.hear(ended(host, "a"))
        await host.until_empty()

    run(story, Host(there=[HOLE], tasks={TaskArn("a"): a_task("a")}))
