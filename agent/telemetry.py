"""How figures are joined: the sampler, what is made of its samples, and the session on which ECS is told."""

import asyncio
from dataclasses import dataclass
from typing import Self

from agent.joints import Joints


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The figures of one agent's containers."""

    joints: Joints

    @classmethod
    def of(cls, joints: Joints) -> Self:
        """Those of one agent."""
        return cls(joints)

    def open(self, jobs: asyncio.TaskGroup) -> None:
        """Measure from now on; the instance is registered."""

    def heartbeat(self) -> None:
        """ACS has sent a heartbeat: what the instance is able to do is looked at again."""
