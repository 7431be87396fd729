"""The agent's own telemetry session against a real control plane: what it tells is what the API shows."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from botocore.credentials import Credentials

from agent.aws.credentials_client import CredentialsClient, UpgradeSigner
from agent.controlplane.keys_driver import KeyPair
from agent.model.names import TaskArn
from agent.model.status import Health
from agent.model.task import Task
from agent.tcs.checkup_loop import CheckupLoop
from agent.tcs.figures_loop import NoFigures
from agent.tcs.loop import EVERY, TcsLoop, World
from agent.tcs.settings import TcsSettings
from tests.controlplane.house import SETTLED
from tests.controlplane.inside import REGION, Inside, inside
from tests.controlplane.test_telemetry import a_host, a_task, shown
from tests.tcs.rows import a_task as a_row


class Rows:
    """The one task of an agent, as its engine knows it."""

    def __init__(self, arn: str) -> None:
        row = a_row(1, "web", checked=True)
        self._row = replace(row, spec=replace(row.spec, arn=TaskArn(arn)))

    def turn(self, health: Health) -> None:
        """Docker said so of its container."""
        self._row = replace(self._row, containers=tuple(replace(one, health=health) for one in self._row.containers))

    @property
    def tasks(self) -> dict[TaskArn, Task]:
        return {self._row.arn: self._row}


class Hand:
    """The agent's clock: its 20 seconds pass when a test says so, and nothing that takes longer ever happens."""

    def __init__(self) -> None:
        self._now = 0.0
        self._passed = asyncio.Event()

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        await (self._passed if seconds <= EVERY else asyncio.Event()).wait()

    def turn(self) -> None:
        self._now += EVERY
        self._passed.set()
        self._passed = asyncio.Event()


class Well:
    """A Docker Engine that answers."""

    async def ping(self) -> None:
        pass


class Endpoint:
    """Where a control plane takes telemetry."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def telemetry_endpoint(self, instance_arn: str) -> str:
        return self._url

    def forget(self) -> None:
        raise AssertionError("the endpoint answers")


def signer(pair: KeyPair) -> UpgradeSigner:
    return UpgradeSigner(
        CredentialsClient(lambda: Credentials(pair.access_key_id, pair.secret_access_key)),
        REGION,
    )


async def told(there: Inside, task: str, health: str, hand: Callable[[], None]) -> None:
    """Return when the API shows *health*; *hand* moves the agent on."""
    async with asyncio.timeout(SETTLED):
        while await shown(there, task) != health:
            hand()


async def checked(there: Inside, host: str, status: str, hand: Callable[[], None]) -> None:
    """Return when the API shows that the host is *status*."""
    ask = there.house.client().describe_container_instances
    async with asyncio.timeout(SETTLED):
        while True:
            answer = await asyncio.to_thread(ask, containerInstances=[host], include=["CONTAINER_INSTANCE_HEALTH"])
            if answer["containerInstances"][0]["healthStatus"]["overallStatus"] == status:
                return
            hand()


def test_a_container_turns_healthy_and_unhealthy_and_its_host_is_well(tmp_path: Path) -> None:
    async def story() -> None:
        async with inside(tmp_path) as there:
            host = await a_host(there)
            task = await a_task(there)
            rows, hand, checkup = Rows(task), Hand(), CheckupLoop(Well())
            loop = TcsLoop(
                lambda: TcsSettings("default", host, "1.105.1", "a8b3e7d3", "25.0.14"),
                figures=NoFigures(),
                tasks=rows,
                checkup=checkup,
                endpoints=Endpoint(f"{there.house.url}/telemetry/"),
                signer=signer(there.house.keys.agent),
                world=World(monotonic=hand.monotonic, sleep=hand.sleep),
            )
            async with asyncio.TaskGroup() as jobs:
                running = [jobs.create_task(loop.run()), jobs.create_task(checkup.run())]
                await checked(there, host, "INITIALIZING", hand.turn)
                for health in (Health.HEALTHY, Health.UNHEALTHY, Health.HEALTHY):
                    rows.turn(health)
                    await told(there, task, health.value, hand.turn)
                checkup.look()
                await checked(there, host, "OK", hand.turn)
                for job in running:
                    job.cancel()

    asyncio.run(story())
