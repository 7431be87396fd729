"""How people and their tools are answered: the operator's socket, and the address of health and introspection."""

import asyncio
from dataclasses import dataclass

from agent.joints import Joints
from agent.operator.chronicle import Chronicle
from agent.operator.health import Health
from agent.operator.health_server import HealthDesk, HealthServer
from agent.operator.operator_server import OperatorServer, Sources
from agent.operator.stop_server import StopDesk


@dataclass(frozen=True, slots=True)
class Doors:
    """What is opened for those who stand in front of the machine."""

    joints: Joints
    chronicle: Chronicle
    desk: StopDesk
    health: Health

    def open(self, jobs: asyncio.TaskGroup) -> None:
        """Answer from now on."""
        joints = self.joints
        sources = Sources(joints.engine, self.chronicle, joints.journal, joints.shelves.progress, joints.vault)
        health = HealthDesk(self.health)
        operator = OperatorServer(joints.settings.data_dir, sources, self.desk, health)
        jobs.create_task(operator.run(), name="operator")
        jobs.create_task(HealthServer(joints.settings.health_address, health).run(), name="health")
