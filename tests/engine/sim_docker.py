"""A Docker Engine in memory: names, phases, events, and requests whose client has died.

Docker serialises what concerns one container. A request whose client died may still take effect, or never does; but
once a later act on the same container is answered, it is decided which.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.model.acts import (
    ContainerAct,
    CreateContainer,
    CreateVolume,
    InspectContainer,
    KillContainer,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    StopContainer,
)
from agent.model.errors import GiveUp, PortTaken, TryAgain
from agent.model.names import DockerId, Image, TaskArn
from agent.model.seen import Labels, Phase, Seen, Summary
from agent.model.status import Health
from agent.model.task import Binding, Lease

KILLED = 137
TERMINATED = 143
NOT_STARTED = 128
OURS = "me"
NO_PROGRAM = "/no/"
"""A command that begins so is in no image."""


@dataclass(slots=True)
class SimContainer:
    """One container as Docker has it."""

    docker_id: DockerId
    name: str
    labels: Labels
    leases: tuple[Lease, ...]
    asked: tuple[object, ...]
    """What the create asked for. Who asks for the same again is given this container."""
    command: tuple[str, ...]
    created_at: datetime
    phase: Phase = Phase.CREATED
    exit_code: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    oom_killed: bool = False
    starts: int = 0
    meddled: bool = False
    health: Health | None = None
    """None for a container that has no health check, or has not run."""
    is_checked: bool = False
    volumes: tuple[str, ...] = ()

    @property
    def host_ports(self) -> tuple[int, ...]:
        return tuple(lease.host_port + n for lease in self.leases for n in range(lease.count))

    @property
    def runs(self) -> bool:
        return self.phase is Phase.RUNNING

    @property
    def stubborn(self) -> bool:
        return self.command == ("stubborn",)

    @property
    def is_ours(self) -> bool:
        return self.labels.agent == OURS

    def seen(self) -> Seen:
        bindings = tuple(
            Binding(x.container_port + n, x.host_port + n, x.transport, "0.0.0.0")
            for x in self.leases
            for n in range(x.count)
        )
        return Seen(
            docker_id=self.docker_id,
            name=self.name,
            labels=self.labels,
            phase=self.phase,
            exit_code=None if self.runs or self.finished_at is None else self.exit_code,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            error=self.error,
            oom_killed=self.oom_killed,
            bindings=bindings if self.runs else (),
            health=self.health,
            health_output="checked" if self.health in (Health.HEALTHY, Health.UNHEALTHY) else "",
        )

    def has_begun(self, act: StartContainer) -> bool:
        """Has the run begun that *act* asks for?"""
        return self.started_at not in (None, act.last_start)

    def end(self, code: int, at: datetime) -> None:
        self.phase, self.exit_code, self.finished_at = Phase.EXITED, code, at
        self.health = Health.UNHEALTHY if self.is_checked else None  # Docker's word for a check that has ended


AS_IT_IS = timedelta()


class SimDocker:
    """What dockerd does with requests."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.set_by = timedelta()
        """How far the clock has been set in all: Docker's own waits do not follow."""
        self.containers: dict[DockerId, SimContainer] = {}
        self.images: set[Image] = set()
        self.held_ports: set[int] = set()
        """Ports of the host that belong to no container."""
        self.volumes: set[str] = set()
        self.late: list[ContainerAct] = []
        self.events: list[DockerId] = []
        self.created: dict[tuple[str, str, int], int] = {}
        self.started: dict[tuple[str, str, int], int] = {}
        """How often each container was started, and each of its runs where a policy starts it again."""
        self.exited: set[str] = set()
        self._numbers = 0

    def by_name(self, name: str) -> SimContainer | None:
        return next((c for c in self.containers.values() if c.name == name), None)

    def find(self, act: ContainerAct) -> SimContainer | None:
        """The container that an act means: by id where it has one, else by name."""
        if isinstance(act, CreateContainer):
            return self.by_name(act.name)
        assert isinstance(act, StartContainer | StopContainer | KillContainer | InspectContainer | RemoveContainer)
        if act.docker_id:
            return self.containers.get(act.docker_id)
        assert isinstance(act, InspectContainer | RemoveContainer)
        return self.by_name(act.name)

    def decide_late(self, act: ContainerAct) -> None:
        """Whatever dead clients asked of this container happens now, before *act* is answered."""
        mine = [late for late in self.late if (late.task, late.container) == (act.task, act.container)]
        self.late = [late for late in self.late if late not in mine]
        for late in mine:
            self.take_late(late)

    def take_late(self, act: ContainerAct) -> None:
        """A request whose client died takes effect."""
        if isinstance(act, CreateContainer) and self.by_name(act.name) is not None:
            return  # the name is taken: the request fails, and nobody hears of it
        if isinstance(act, InspectContainer):
            return
        try:
            self.effect(act)
        except (GiveUp, PortTaken):
            return

    def is_ready(self, act: ContainerAct, set_by: timedelta = AS_IT_IS) -> bool:
        """May *act* take effect now? A stop of a container that ignores its signal ends with the kill.

        *set_by* is how far the clock had been set when it was asked for.
        """
        if not isinstance(act, StopContainer):
            return True
        found = self.find(act)
        return found is None or not found.runs or not found.stubborn or self.now - self.set_by >= act.kill_at - set_by

    def effect(self, act: ContainerAct) -> DockerId | None:
        """Do it. Gives the id of what was created."""
        found = self.find(act)
        match act:
            case CreateContainer():
                return self._create(act, found)
            case StartContainer():
                self._start(act, found)
            case StopContainer() | KillContainer() if found is not None and found.runs:
                hard = found.stubborn or isinstance(act, KillContainer)
                found.end(KILLED if hard else TERMINATED, self.now)
                self.events.append(found.docker_id)
            case RemoveContainer() if found is not None and (act.force or not found.runs):
                del self.containers[found.docker_id]
                self.events.append(found.docker_id)
            case RemoveContainer() if found is not None:
                raise GiveUp("CannotRemoveContainerError", "the container is running")
        return None

    def _create(self, act: CreateContainer, found: SimContainer | None) -> DockerId:
        asked = (act.task, act.container, act.spec, act.leases, act.network_mode, act.wiring)
        if found is not None:
            if found.asked == asked:
                return found.docker_id
            if found.starts or not found.is_ours:
                raise GiveUp("CannotCreateContainerError", f"the name belongs to {found.docker_id}")
            del self.containers[found.docker_id]
            self.created[act.task, act.container, found.labels.run] -= 1
        if act.spec.image not in self.images:
            raise GiveUp("CannotCreateContainerError", f"No such image: {act.spec.image}")
        self._numbers += 1
        docker_id = DockerId(f"id{self._numbers}")
        labels = Labels(
            agent=OURS,
            instance="here",
            task=act.task,
            container=act.container,
            family=act.family,
            version=act.version,
            essential=act.spec.essential,
            stop_timeout=act.spec.stop_timeout,
            ports=act.spec.ports,
            order=act.order,
            count=act.count,
            run=act.run,
            image=act.spec.image,
            depends_on=tuple(dict.fromkeys(act.spec.dependencies)),
            restart=act.spec.restart,
            volumes=act.wiring.task_volumes,
            cgroup=bool(act.wiring.cgroup_parent),
        )
        made = SimContainer(docker_id, act.name, labels, act.leases, asked, act.spec.command, self.now)
        made.is_checked = act.spec.health_check
        made.volumes = tuple(bind.partition(":")[0] for bind in act.wiring.binds)
        self.containers[docker_id] = made
        key = (str(act.task), act.container, act.run)
        self.created[key] = self.created.get(key, 0) + 1
        self.events.append(docker_id)
        return docker_id

    def _start(self, act: StartContainer, found: SimContainer | None) -> None:
        if found is None:
            raise GiveUp("CannotStartContainerError", f"No such container: {act.docker_id}")
        if found.runs or (act.again and found.has_begun(act)):
            return
        used = {port for c in self.containers.values() if c.runs for port in c.host_ports} | self.held_ports
        for port in found.host_ports:
            if port in used:
                text = f"0.0.0.0:{port}: port is already allocated"
                self._refuse(found, NOT_STARTED, text)
                raise PortTaken(port, text)
        if found.command and found.command[0].startswith(NO_PROGRAM):
            text = f'exec: "{found.command[0]}": no such file or directory'
            self._refuse(found, 127, text)
            raise GiveUp("CannotStartContainerError", text)
        self.start(found, run=act.run)

    def _refuse(self, found: SimContainer, code: int, error: str) -> None:
        """A start that fails leaves phase and times as they were, and the code of an earlier run unless that was 0."""
        found.exit_code, found.error = found.exit_code or code, error

    def start(self, found: SimContainer, *, run: int = 0, by_hand: bool = False) -> None:
        found.phase, found.started_at, found.exit_code = Phase.RUNNING, self.now, None
        found.error, found.oom_killed = "", False
        found.starts += 1
        found.health = Health.UNKNOWN if found.is_checked else None
        key = (str(found.labels.task), found.labels.container, run if found.labels.restart else 0)
        self.started[key] = self.started.get(key, 0) + (0 if by_hand else 1)
        self.events.append(found.docker_id)

    def exit(self, found: SimContainer, code: int, *, out_of_memory: bool = False) -> None:
        """The container ends by itself."""
        found.end(code, self.now)
        found.oom_killed = out_of_memory
        self.exited.add(found.labels.task)
        self.events.append(found.docker_id)

    def check(self, found: SimContainer, health: Health) -> None:
        """The container's health check comes to a verdict."""
        if found.health is not health:
            found.health = health
            self.events.append(found.docker_id)

    def create_volume(self, act: CreateVolume) -> None:
        """One that is there is success; a shared one that may not be made must be there."""
        if act.volume.is_shared and not act.volume.autoprovision and act.name not in self.volumes:
            raise GiveUp("VolumeError", f"volume '{act.name}' does not exist and autoprovision is set to false")
        self.volumes.add(act.name)

    def remove_volume(self, act: RemoveVolume) -> None:
        """Absence is success; what a container holds, running or not, stays."""
        if any(act.name in container.volumes for container in self.containers.values()):
            raise TryAgain(f"volume {act.name} is in use")
        self.volumes.discard(act.name)

    def foreign(self, name: str) -> SimContainer:
        """Somebody else makes a container called *name*."""
        self._numbers += 1
        labels = Labels(agent="", instance="", task=TaskArn(""), container="", family="", version="")
        made = SimContainer(DockerId(f"id{self._numbers}"), name, labels, (), (), (), self.now)
        self.containers[made.docker_id] = made
        return made

    def running(self) -> Iterator[SimContainer]:
        return (c for c in self.containers.values() if c.runs)

    def listing(self) -> tuple[Summary, ...]:
        ours = (c for c in self.containers.values() if c.is_ours)
        return tuple(Summary(c.docker_id, c.phase, c.labels.task, c.labels.container) for c in ours)

    def inspect(self, docker_id: DockerId) -> Seen | None:
        """A look in passing, for a hint or a listing. Unlike an act, it settles nothing that dead clients asked for."""
        found = self.containers.get(docker_id)
        return None if found is None else found.seen()

    def tick(self, by: timedelta) -> None:
        self.now += by
