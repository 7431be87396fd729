"""The agent between a raw payload message and Docker, in this process: no ECS, and values of the test's own."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.acs.session import received
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.event_driver import EventDriver
from agent.docker.image_driver import ImageDriver
from agent.docker.surroundings import Surroundings
from agent.docker.volume_driver import VolumeDriver
from agent.engine.engine import Engine
from agent.host.cgroup_driver import CgroupDriver
from agent.host.ports_driver import PortProbe
from agent.model.acts import FetchValues
from agent.model.clock import Clock, utc_now
from agent.model.credentials import RegistryLogin, TaskValues
from agent.model.decision import Decision
from agent.model.events import TaskStopRequested
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.rules import Rules
from agent.model.status import PullBehavior, Status
from agent.model.task import ImageSource, Task
from agent.runner.loop import Runner
from agent.runner.perform import Hands, Performer
from agent.runner.vault import Vault
from agent.runner.watch_loop import Watcher
from agent.store.journal_driver import Journal, own_journal

PATIENCE = 30.0


@dataclass(frozen=True)
class GivenValues:
    """Fulfils the runner's `Values` with what the test says."""

    values: TaskValues = field(default_factory=TaskValues)
    logins: Mapping[str, RegistryLogin] = field(default_factory=dict)
    """By the host of the image."""

    async def fetch(self, act: FetchValues) -> TaskValues:
        return self.values

    async def login(self, source: ImageSource) -> RegistryLogin:
        return self.logins[source.image.partition("/")[0]]


@dataclass
class RawAgent:
    """Takes payloads as text, and shows what Docker made of them."""

    docker: DockerEngine
    engine: Engine
    runner: Runner
    vault: Vault
    changed: asyncio.Condition
    journal: Journal
    clock: Clock

    async def hear(self, **task: Any) -> TaskArn:  # noqa: ANN401 -- JSON is anything
        """A payload with one task, which gets an ARN of its own; gives it."""
        arn = TaskArn(f"arn:aws:ecs:us-east-1:123456789012:task/tests/{secrets.token_hex(16)}")
        whole = {"arn": arn, "desiredStatus": "RUNNING", "family": "raw", "version": "1", **task}
        message = {"messageId": "m", "clusterArn": "c", "containerInstanceArn": "i", "seqNum": 1, "tasks": [whole]}
        frame = json.dumps({"type": "PayloadMessage", "message": message})
        heard = received(frame, self.clock(), lambda: secrets.token_hex(40))
        for credentials in heard.credentials:
            self.vault.put(credentials)
        await self.runner.submit(*heard.events)
        return arn

    async def stop(self, arn: TaskArn) -> None:
        """What a payload that wants a task stopped comes to."""
        await self.runner.submit(TaskStopRequested(arn, self.clock()))

    async def settled(self, arn: TaskArn) -> Task:
        """The task's row once every container of it runs or has ended."""

        def is_settled() -> bool:
            rows = self.engine.tasks[arn].containers
            return all(one.known is Status.RUNNING or one.at_rest for one in rows)

        return await self.until(arn, is_settled)

    async def until(self, arn: TaskArn, is_so: Callable[[], bool]) -> Task:
        """The task's row once something is so."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(is_so)
        return self.engine.tasks[arn]

    async def inspect(self, task: Task, name: str) -> dict[str, Any]:
        """Docker's own inspect of a container."""
        row = task[name]
        assert row.docker_id, f"{name}: {row.reason or task.reason or 'was never created'}"
        async with self.docker.call(20) as client:
            found: dict[str, Any] = await client.containers.container(row.docker_id).show()
        return found


@asynccontextmanager
async def a_raw_agent(
    owner: Identity,
    folder: Path,
    values: GivenValues | None = None,
    *,
    pulls: PullBehavior = PullBehavior.PREFER_CACHED,
    surroundings: Surroundings | None = None,
    clock: Clock = utc_now,
    **rules: Any,  # noqa: ANN401 -- fields of Rules
) -> AsyncIterator[RawAgent]:
    """An agent whose containers are *owner*'s, until the block ends."""
    around = surroundings or Surroundings(region="us-east-1")
    async with DockerEngine.connect() as docker, own_journal(folder / "raw.db", owner.agent_id) as (journal, _):
        engine = Engine(Rules(agent=owner.agent_id, pull_behavior=pulls, **rules))
        vault = Vault(lambda: ())
        changed = asyncio.Condition()

        async def tell() -> None:
            async with changed:
                changed.notify_all()

        jobs = asyncio.TaskGroup()

        def committed(decided: Decision) -> None:
            vault.settle(decided.tasks)
            jobs.create_task(tell())

        runner = Runner(engine, journal, clock=clock, after_commit=committed)
        containers = ContainerDriver(docker, lambda: owner, around)
        events = EventDriver(docker, lambda: owner)
        watcher = Watcher(engine, runner, containers, events, docker, clock=clock, pause=asyncio.sleep)
        hands = Hands(
            containers,
            ImageDriver(docker),
            PortProbe(),
            VolumeDriver(docker, lambda: owner, around),
            CgroupDriver(1),
            values or GivenValues(),
        )
        performer = Performer(
            hands, vault, clock=clock, post=runner.post, list_soon=watcher.list_soon, pause=asyncio.sleep
        )
        async with jobs:
            running = [jobs.create_task(runner.run(performer)), jobs.create_task(watcher.run())]
            try:
                yield RawAgent(docker, engine, runner, vault, changed, journal, clock)
            finally:
                for job in running:
                    job.cancel()
