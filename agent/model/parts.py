"""The parts of a task definition that are more than a number or a text (API reference, ContainerDefinition and Volume).

All of them are as ECS asked for them; what a secret or a login is worth is never here, only where it is kept.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Condition(StrEnum):
    """What one container must have come to before another starts (API reference, ContainerDependency)."""

    CREATE = "CREATE"
    """Exists. Never asked for by name: ``volumesFrom`` needs it."""
    START = "START"
    """Runs, or has run. Links need it too."""
    COMPLETE = "COMPLETE"
    """Has ended, with any exit code."""
    SUCCESS = "SUCCESS"
    """Has ended with exit code 0."""
    HEALTHY = "HEALTHY"
    """Passes its health check."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A container waits until `container` has come to `condition`."""

    container: str
    condition: Condition = Condition.START


@dataclass(frozen=True, slots=True)
class Link:
    """``links``: `container` is known as `alias` inside the linking container."""

    container: str
    alias: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount point: a volume of the task at an absolute `path` inside the container."""

    volume: str
    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class VolumesFrom:
    """All mounts of another container of the task."""

    container: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """An exit starts the same container again unless its code is ignored or its last start is too recent.

    `attempt_period` is in seconds (API reference, ContainerRestartPolicy).
    """

    ignored_exit_codes: tuple[int, ...] = ()
    attempt_period: float = 300.0


class Provider(StrEnum):
    """Where a secret is kept."""

    SSM = "ssm"
    ASM = "asm"


class Target(StrEnum):
    """What a secret becomes."""

    ENVIRONMENT = "environment"
    LOG_OPTION = "log_option"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value to be fetched: `name` is the variable's or the option's, `value_from` says where it is kept."""

    name: str
    value_from: str
    provider: Provider = Provider.SSM
    region: str = ""
    target: Target = Target.ENVIRONMENT


@dataclass(frozen=True, slots=True)
class EnvironmentFile:
    """A file of ``NAME=value`` lines; `value` is the ARN of an object in S3."""

    value: str


class Registry(StrEnum):
    """How an image's registry is logged in to; without one, by what the operator configured for the host."""

    ECR = "ecr"
    ASM = "asm"


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Where the login for an image's registry comes from."""

    kind: Registry
    region: str = ""
    registry_id: str = ""
    endpoint: str = ""
    use_execution_role: bool = False
    credentials_parameter: str = ""
    """The ARN or name of the secret that holds user name and password."""


class VolumeKind(StrEnum):
    """Types of volumes that this agent serves."""

    HOST = "host"
    DOCKER = "docker"
    EFS = "efs"


class Scope(StrEnum):
    """How long a Docker volume lives."""

    TASK = "task"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Efs:
    """An EFS file system (API reference, EFSVolumeConfiguration)."""

    file_system: str
    root: str = ""
    encrypted: bool = False
    encryption_port: int = 0
    access_point: str = ""
    iam: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a task. A host volume without `host_path` is an anonymous Docker volume of the task."""

    name: str
    kind: VolumeKind = VolumeKind.HOST
    host_path: str = ""
    scope: Scope = Scope.TASK
    autoprovision: bool = False
    driver: str = "local"
    options: dict[str, str] = field(default_factory=dict, repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    efs: Efs | None = None

    @property
    def is_dockers(self) -> bool:
        """Is it a volume of Docker's, and not a path of the host?"""
        return self.kind is not VolumeKind.HOST or not self.host_path

    @property
    def is_shared(self) -> bool:
        """Does it outlive the task?"""
        return self.kind is VolumeKind.DOCKER and self.scope is Scope.SHARED


@dataclass(frozen=True, slots=True)
class Association:
    """What ECS gave to containers of a task beside images and volumes, such as a GPU; containers may ask for it."""

    kind: str
    """``gpu``, ``elastic-inference``, ..."""
    name: str
    containers: tuple[str, ...] = ()
    content: str = field(default="", repr=False)
    """Answered verbatim to who asks for this association by its name."""
