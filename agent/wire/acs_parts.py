"""The parts of a container and of a task that a payload message carries ("wire protocol", Container and Volume).

Words out of a fixed set are texts here: which of them are known is said where they are read, so that the error names
the field, and a word of a newer protocol breaks nothing on the way.
"""

from typing import Annotated, TypeAlias

import msgspec

from agent.wire.reading import Shape

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class PortMapping(Shape, frozen=True):
    """``hostPort`` 0 or absent asks the agent to choose; ``protocol`` absent is tcp.

    ``containerPortRange`` (``a-b``) stands in place of ``containerPort``; its host ports are always chosen.
    """

    container_port: Port | None = None
    host_port: Port | None = None
    protocol: str | None = None
    container_port_range: str | None = None


class DockerConfig(Shape, frozen=True):
    """Docker's own documents, each a JSON text inside a string. Prints without them: they may hold an environment."""

    version: str | None = None
    config: str | None = None
    host_config: str | None = None

    def __repr__(self) -> str:
        return "<DockerConfig>"


class EcrAuthData(Shape, frozen=True):
    """A registry of ECR. ``useExecutionRole`` absent signs with the instance's role."""

    registry_id: str | None = None
    region: str | None = None
    endpoint_override: str | None = None
    use_execution_role: bool | None = None


class AsmAuthData(Shape, frozen=True):
    """The secret in Secrets Manager that holds user name and password."""

    credentials_parameter: str | None = None
    region: str | None = None


class RegistryAuthentication(Shape, frozen=True):
    """Where the credentials for an image's registry come from: ``type`` is ``ecr`` or ``asm``."""

    type: str | None = None
    ecr_auth_data: EcrAuthData | None = None
    asm_auth_data: AsmAuthData | None = None


class RestartPolicy(Shape, frozen=True):
    """Whether a container that exits is started again."""

    enabled: bool | None = None
    ignored_exit_codes: list[int] | None = None
    restart_attempt_period: Count | None = None


class ContainerDependency(Shape, frozen=True):
    """``condition`` is ``START``, ``COMPLETE``, ``SUCCESS`` or ``HEALTHY``."""

    container_name: str | None = None
    condition: str | None = None


class MountPoint(Shape, frozen=True):
    """A volume of the task, inside a container."""

    source_volume: str | None = None
    container_path: str | None = None
    read_only: bool | None = None


class VolumeFrom(Shape, frozen=True):
    """All mounts of another container."""

    source_container: str | None = None
    read_only: bool | None = None


class EnvironmentFile(Shape, frozen=True):
    """``value`` is the ARN of an object in S3, ``type`` is ``s3``."""

    value: str | None = None
    type: str | None = None


class Secret(Shape, frozen=True):
    """Where a value is kept (``provider`` is ``ssm`` or ``asm``), and what it becomes."""

    name: str | None = None
    value_from: str | None = None
    region: str | None = None
    provider: str | None = None
    type: str | None = None
    target: str | None = None
    container_path: str | None = None


class HostVolume(Shape, frozen=True):
    """Without a path: an empty volume that the agent makes."""

    source_path: str | None = None


class DockerVolume(Shape, frozen=True):
    """A volume of Docker's. Prints without its options, which may hold a password."""

    scope: str | None = None
    autoprovision: bool | None = None
    driver: str | None = None
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"<DockerVolume {self.scope!r} {self.driver!r}>"


class EfsAuthorization(Shape, frozen=True):
    """``iam`` is ``ENABLED`` or ``DISABLED``."""

    access_point_id: str | None = None
    iam: str | None = None


class EfsVolume(Shape, frozen=True):
    """``transitEncryption`` is ``ENABLED`` or ``DISABLED``."""

    file_system_id: str | None = None
    root_directory: str | None = None
    transit_encryption: str | None = None
    transit_encryption_port: Port | None = None
    authorization_config: EfsAuthorization | None = None


class Volume(Shape, frozen=True):
    """A volume of the task; ``type`` absent is ``host``, and the member that belongs to the type must be there."""

    name: str | None = None
    type: str | None = None
    host: HostVolume | None = None
    docker_volume_configuration: DockerVolume | None = None
    efs_volume_configuration: EfsVolume | None = None


class AssociationContent(Shape, frozen=True):
    """What containers are answered that ask for an association by its name; ``encoding`` is ``plaintext``."""

    encoding: str | None = None
    value: str | None = None


class Association(Shape, frozen=True):
    """A device or accelerator that belongs to some of the containers; of a GPU, ``name`` is its UUID."""

    name: str | None = None
    type: str | None = None
    containers: list[str] | None = None
    content: AssociationContent | None = None


class AttachmentProperty(Shape, frozen=True):
    """One of the things to know of an attachment."""

    name: str | None = None
    value: str | None = None


class Attachment(Shape, frozen=True):
    """Something of another service that belongs to the task."""

    attachment_arn: str | None = None
    attachment_type: str | None = None
    attachment_properties: list[AttachmentProperty] | None = None
