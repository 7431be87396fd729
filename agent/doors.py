"""How people and their tools are answered: the operator's socket; the address of health, metrics and introspection."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from agent.docker.portrait_driver import PortraitDriver
from agent.joints import Joints
from agent.model.clock import utc_now
from agent.model.decision import Decision
from agent.model.events import Event
from agent.operator import health_server, introspection_server, metrics_server
from agent.operator.addresses_driver import OFF, Addresses
from agent.operator.chronicle import Chronicle
from agent.operator.health import Condition, Health
from agent.operator.health_server import HealthDesk
from agent.operator.host_server import HostServer, Page
from agent.operator.introspection_server import Agent, IntrospectionDesk
from agent.operator.lag_loop import LagLoop
from agent.operator.meter import Meter
from agent.operator.metrics_server import Gauged, MetricsDesk, Program
from agent.operator.operator_server import OperatorServer, Sources
from agent.operator.ports import Link, Reports
from agent.operator.stop_server import StopDesk
from agent.runner.story import of_bug
from agent.version import AGENT_HASH, AGENT_VERSION, VERSION

log = structlog.get_logger()

LATE = 1.0
"""Seconds by which the loop may be late without a word about it."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Hears of each event what it came to: a story of each task, and figures of them all."""

    chronicle: Chronicle = field(default_factory=Chronicle)
    meter: Meter = field(default_factory=lambda: Meter(time.monotonic))

    def note(self, event: Event, decided: Decision) -> None:
        """Keep what *event* came to. A bug in here costs a line or a figure, and not the agent."""
        for hears in (self.chronicle.note, self.meter.note):
            try:
                hears(event, decided)
            except Exception as bug:  # noqa: BLE001 -- who watches ends nothing
                log.error("witness_broke", event_kind=type(event).__name__, **of_bug(bug))  # noqa: TRY400 -- no values


class Doors:
    """What is opened for those who stand in front of the machine."""

    def __init__(self, joints: Joints, witness: Witness, desk: StopDesk, health: Health, reports: Reports) -> None:
        self._joints = joints
        self._witness = witness
        self._desk = desk
        self._health = health
        self._lag = LagLoop()
        health.others.append(lambda: late(self._lag.worst))
        self.gauged = Gauged(
            Program(VERSION, joints.facts.version, utc_now()),
            joints.engine,
            witness.meter,
            self._lag,
            health,
            joints.docker,
            lambda: joints.watcher.is_there,
            joints.runner,
            joints.journal,
            reports,
            joints.shelves.cleaner.collected,
            joints.vault,
        )

    def open(self, jobs: asyncio.TaskGroup) -> None:
        """Answer from now on."""
        joints = self._joints
        settings = joints.settings
        sources = Sources(joints.engine, self._witness.chronicle, joints.journal, joints.shelves.progress, joints.vault)
        health = HealthDesk(self._health, joints.runner)
        operator = OperatorServer(settings.data_dir, sources, self._desk, health)
        jobs.create_task(operator.run(), name="operator")
        jobs.create_task(self._lag.run(), name="lag")
        if settings.health_address == OFF:
            return
        where = Addresses(
            settings.health_address, settings.offhost_introspection, settings.offhost_introspection_interface
        )
        introspection = self._introspection()
        server = HostServer(where, self._pages(health, introspection), introspection.commands)
        jobs.create_task(server.run(), name="health")

    def connect(self, link: Link) -> None:
        """There is a session with ECS from now on, if not always a connection."""
        self.gauged.link = link
        self._health.is_connected = lambda: link.is_connected

    def _introspection(self) -> IntrospectionDesk:
        joints = self._joints
        owner = joints.owner
        agent = Agent(lambda: owner().cluster, lambda: owner().instance_arn, AGENT_VERSION, AGENT_HASH)
        return IntrospectionDesk(agent, joints.engine, PortraitDriver(joints.docker))

    def _pages(self, health: HealthDesk, introspection: IntrospectionDesk) -> dict[str, Page]:
        return {
            health_server.PATH: health.ready,
            health_server.LIVE: health.live,
            metrics_server.PATH: MetricsDesk(self.gauged).metrics,
            introspection_server.METADATA: introspection.metadata,
            introspection_server.TASKS: introspection.tasks,
            introspection_server.LICENSE: introspection.license,
        }


def late(worst: float) -> Condition:
    """The condition of the loop: it is shown, and others go on deciding by what is vital."""
    trouble = f"the event loop was {worst:.1f} s late in the last minute" if worst > LATE else ""
    return Condition("loop", trouble, is_vital=False)
