"""The task that a payload message carries, as it looks on the wire ("wire protocol", PayloadMessage).

Both houses use these: the control plane fills them in, the agent reads them. Fields of features that neither end
serves yet are typed as anything: all that is asked of them is whether somebody asked.
"""

from typing import Annotated, Any, TypeAlias

import msgspec

from agent.wire.acs_parts import (
    Association,
    Attachment,
    ContainerDependency,
    Count,
    DockerConfig,
    EnvironmentFile,
    MountPoint,
    PortMapping,
    RegistryAuthentication,
    RestartPolicy,
    Secret,
    Volume,
    VolumeFrom,
)
from agent.wire.reading import Shape

Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class IAMRoleCredentials(Shape, frozen=True):
    """The values behind a role. Prints without them."""

    credentials_id: str | None = None
    role_arn: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    expiration: str | None = None
    credential_scope: str | None = None

    def __repr__(self) -> str:
        return "<IAMRoleCredentials>"


class Container(Shape, frozen=True):
    """One container of a task. ``essential`` absent is false. Prints its name only: the environment may be secret."""

    name: str | None = None
    image: str | None = None
    container_arn: str | None = None
    essential: bool | None = None
    cpu: Count | None = None
    memory: Count | None = None
    command: list[str] | None = None
    entry_point: list[str] | None = None
    environment: dict[str, str] | None = None
    overrides: str | None = None
    """A JSON text that knows one key, ``command``."""
    port_mappings: list[PortMapping] | None = None
    docker_config: DockerConfig | None = None
    health_check_type: str | None = None
    start_timeout: Count | None = None
    stop_timeout: Count | None = None
    logs_auth_strategy: str | None = None
    registry_authentication: RegistryAuthentication | None = None
    restart_policy: RestartPolicy | None = None
    links: list[str] | None = None
    mount_points: list[MountPoint] | None = None
    volumes_from: list[VolumeFrom] | None = None
    environment_files: list[EnvironmentFile] | None = None
    secrets: list[Secret] | None = None
    depends_on: list[ContainerDependency] | None = None
    firelens_configuration: Any = None
    managed_agents: Any = None
    credential_specs: Any = None
    privileged: bool | None = None
    """In the protocol, and not read: Docker's host configuration says it. So are the next two."""
    linux_parameters: Any = None
    network_interface_names: Any = None

    def __repr__(self) -> str:
        return f"<Container {self.name!r}>"


class Task(Shape, frozen=True):
    """A task as ECS sends it. To stop one, `arn` and `desired_status` are enough."""

    arn: str | None = None
    desired_status: str | None = None
    family: str | None = None
    version: str | None = None
    containers: list[Container] | None = None
    cpu: Amount | None = None
    memory: Count | None = None
    network_mode: str | None = None
    role_credentials: IAMRoleCredentials | None = None
    execution_role_credentials: IAMRoleCredentials | None = None
    launch_type: str | None = None
    service_name: str | None = None
    group: str | None = None
    pid_mode: str | None = None
    ipc_mode: str | None = None
    enable_fault_injection: bool | None = None
    associations: list[Association] | None = None
    attachments: list[Attachment] | None = None
    volumes: list[Volume] | None = None
    elastic_network_interfaces: Any = None
    proxy_configuration: Any = None
    overrides: str | None = None
    """In the protocol, and not read. So are the rest."""
    task_cluster_arn: str | None = None
    zone: str | None = None
    task_definition_account_id: str | None = None
    agent_configuration: Any = None
    trusted_execution_configuration: Any = None
