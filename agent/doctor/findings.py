"""What is found, and everything that it is judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.config.settings import Settings
from agent.docker.foreign import Foreign
from agent.host.introspection import Neighbour
from agent.model.devices import GpuReading
from agent.model.identity import Identity
from agent.model.seen import EngineFacts


class Level(StrEnum):
    """How bad it is: an error keeps the agent, or tasks, from their work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `suggestion` is empty where there is nothing to do."""

    check: str
    level: Level
    says: str
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """How full a file system is, in per cent."""

    path: str
    bytes_used: float
    inodes_used: float


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on a TCP port; `program` is empty where that is not to be seen."""

    port: int
    process: int | None
    program: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """The settings as they were read. Where they cannot be used, `settings` are the defaults."""

    settings: Settings
    complaints: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at the machine showed. A `lack` says why there is nothing; it is empty where there is."""

    given: Given
    is_root: bool = True
    docker: EngineFacts | None = None
    docker_lack: str = ""
    has_memory_cgroup: bool = True
    cgroup_lack: str = ""
    forwards_ip: bool = True
    disks: tuple[Disk, ...] = ()
    silent_disks: tuple[str, ...] = ()
    data_dir_lack: str = ""
    memory_lack: str = ""
    region: str = ""
    region_lack: str = ""
    endpoint: str = ""
    endpoint_lack: str = ""
    skew: float | None = None
    """Seconds that this machine's clock is ahead of the endpoint's; None where nobody told the time."""
    keys_lack: str = ""
    listeners: tuple[Listener, ...] = ()
    own_agent: int | None = None
    """The process of an agent of our kind that runs here."""
    own_troubles: Mapping[str, str] | None = None
    """What our agent itself says is wrong, by what it is wrong with; None where it does not answer."""
    neighbour: Neighbour | None = None
    """Another ECS agent that answers here."""
    neighbour_url: str = ""
    foreigners: tuple[Foreign, ...] = ()
    """Containers of ECS tasks that are nobody's we know of."""
    identity: Identity | None = None
    gpus: GpuReading = field(default_factory=GpuReading)
    redirect_lacks: tuple[str, ...] = ()
    """What is missing of the way from 169.254.170.2 to the agent, or in it."""
    redirect_lack: str = ""
    """Why nothing could be seen of it."""

    @property
    def settings(self) -> Settings:
        """What the agent would go by."""
        return self.given.settings
