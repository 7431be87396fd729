"""How figures are joined: the sampler, what is made of its samples, and the session on which ECS is told.

Nothing here is needed for the work of the agent: what breaks in it is said, and begun again, and ends nothing else.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from typing import Self

import structlog

from agent.aws.poll_client import PollEndpointsClient
from agent.docker.portrait_driver import PortraitDriver
from agent.host.sampler_driver import SamplerDriver
from agent.joints import Joints
from agent.sockets.client import dial
from agent.tcs.checkup_loop import CheckupLoop
from agent.tcs.figures_loop import FiguresLoop, NoFigures
from agent.tcs.loop import TcsLoop, World
from agent.tcs.settings import TcsSettings
from agent.version import AGENT_HASH, AGENT_VERSION

AGAIN_AFTER = 60.0
"""Seconds from a bug in telemetry to its next beginning."""

log = structlog.get_logger()


class Telemetry:
    """The figures of one agent's containers."""

    def __init__(self, joints: Joints, figures: FiguresLoop | NoFigures) -> None:
        self._joints = joints
        self.figures = figures
        self.checkup = CheckupLoop(joints.docker)

    @classmethod
    def of(cls, joints: Joints) -> Self:
        """Those of one agent."""
        if joints.settings.disable_metrics:
            return cls(joints, NoFigures())
        sampler, portraits = SamplerDriver(joints.settings.cgroup_path), PortraitDriver(joints.docker)
        processors = len(os.sched_getaffinity(0))
        return cls(joints, FiguresLoop(joints.engine, sampler, portraits, processors=processors))

    @cached_property
    def endpoints(self) -> PollEndpointsClient:
        """Knows where ACS and TCS are, in one answer of ECS. Not to be asked for before it is certain who we are."""
        return PollEndpointsClient.of(self._joints.ecs, self._joints.owner().cluster, self._joints.settings)

    @cached_property
    def session(self) -> TcsLoop:
        """Tells ECS."""
        access = self._joints.access
        return TcsLoop(
            self._who,
            figures=self.figures,
            tasks=self._joints.engine,
            checkup=self.checkup,
            endpoints=self.endpoints,
            signer=access.signer(),
            world=World(dial=partial(dial, road=access.roads.to_socket)),
        )

    def open(self, jobs: asyncio.TaskGroup) -> None:
        """Measure from now on; the instance is registered."""
        if isinstance(self.figures, FiguresLoop):
            jobs.create_task(lasting("figures", self.figures.run), name="figures")
        jobs.create_task(lasting("checkup", self.checkup.run), name="checkup")
        jobs.create_task(lasting("session", self.session.run), name="telemetry")

    def heartbeat(self) -> None:
        """ACS has sent a heartbeat: what the instance is able to do is looked at again."""
        self.checkup.look()

    def let_go(self) -> None:
        """ECS has let go of this instance: there is nothing more to tell of it."""
        self.session.cut()

    def _who(self) -> TcsSettings:
        identity = self._joints.owner()
        return TcsSettings(
            cluster=identity.cluster,
            instance_arn=identity.instance_arn,
            agent_version=AGENT_VERSION,
            agent_hash=AGENT_HASH,
            docker_version=self._joints.facts.version,
        )


async def lasting(
    name: str, run: Callable[[], Awaitable[None]], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Run *run* for ever: a bug in it is told, and it begins again a minute later."""
    while True:
        try:
            await run()
        except Exception:  # no bug in what is only told may end what is done
            log.exception("telemetry_broke", part=name, again_in=AGAIN_AFTER)
        await sleep(AGAIN_AFTER)
