"""The task that a payload message carries, as it looks on the wire ("wire protocol", PayloadMessage).

Both houses use these: the control plane fills them in, the agent reads them. Fields of features that neither end
serves yet are typed as anything: all that is asked of them is whether somebody asked.
"""

from typing import Annotated, Any, TypeAlias

import msgspec

from agent.wire.reading import Shape

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535)]
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


class PortMapping(Shape, frozen=True):
    """``hostPort`` 0 or absent asks the agent to choose; ``protocol`` absent is tcp."""

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


class RegistryAuthentication(Shape, frozen=True):
    """Where the credentials for an image's registry come from."""

    type: str | None = None
    ecr_auth_data: Any = None
    asm_auth_data: Any = None


class RestartPolicy(Shape, frozen=True):
    """Whether a container that exits is started again."""

    enabled: bool | None = None
    ignored_exit_codes: list[int] | None = None
    restart_attempt_period: Count | None = None


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
    links: Any = None
    mount_points: Any = None
    volumes_from: Any = None
    environment_files: Any = None
    secrets: Any = None
    depends_on: Any = None
    firelens_configuration: Any = None
    managed_agents: Any = None
    credential_specs: Any = None
    privileged: bool | None = None
    """In the protocol, and not read: Docker's host configuration says it. So are the next two."""
    linux_parameters: Any = None
    network_interface_names: Any = None

    def __repr__(self) -> str:
        return f"<Container {self.name!r}>"


class Association(Shape, frozen=True):
    """A device or accelerator that belongs to some of the containers."""

    name: str | None = None
    type: str | None = None
    containers: Any = None
    content: Any = None


class Attachment(Shape, frozen=True):
    """Something of another service that belongs to the task."""

    attachment_arn: str | None = None
    attachment_type: str | None = None
    attachment_properties: Any = None


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
    volumes: Any = None
    elastic_network_interfaces: Any = None
    proxy_configuration: Any = None
    overrides: str | None = None
    """In the protocol, and not read. So are the rest."""
    task_cluster_arn: str | None = None
    zone: str | None = None
    task_definition_account_id: str | None = None
    agent_configuration: Any = None
    trusted_execution_configuration: Any = None
