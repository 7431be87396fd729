"""How containers are served: the endpoints that they ask, and the hands by which these find the answers."""

import asyncio
from dataclasses import dataclass
from typing import Self

from agent.joints import Joints
from agent.model.decision import Decision


@dataclass(frozen=True, slots=True)
class Reception:
    """The endpoints for containers, joined."""

    joints: Joints

    @classmethod
    def of(cls, joints: Joints) -> Self:
        """Those of one agent."""
        return cls(joints)

    def hear(self, decided: Decision) -> None:
        """Something was decided and committed."""

    def open(self, jobs: asyncio.TaskGroup) -> None:
        """Serve from now on."""
