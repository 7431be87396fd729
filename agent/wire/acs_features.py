"""What a task may ask for that this agent does not have yet.

A task that asks for such a thing is refused with the name of the thing; run without it, it would do something else
than it was asked to. Empty lists, empty objects, ``false``, ``null`` and ``""`` ask for nothing. Whoever builds one of
these takes its line out.
"""

from agent.model.errors import BadInput
from agent.wire.acs_task import Container, Task
from agent.wire.reading import join, read_document

OF_TASKS = {
    "volumes": "volumes",
    "elastic_network_interfaces": "elastic network interfaces (awsvpc)",
    "proxy_configuration": "proxy configuration (App Mesh)",
    "enable_fault_injection": "fault injection",
    "pid_mode": "PID namespaces shared by a task or with the host (pidMode)",
    "ipc_mode": "IPC namespaces shared by a task or with the host (ipcMode)",
}
"""Fields of a task whose being filled in asks for the thing named beside them."""

OF_CONTAINERS = {
    "links": "links",
    "mount_points": "mount points",
    "volumes_from": "volumes from other containers (volumesFrom)",
    "environment_files": "environment files",
    "secrets": "secrets",
    "depends_on": "dependencies between containers (dependsOn)",
    "firelens_configuration": "FireLens",
    "managed_agents": "ECS Exec (managedAgents)",
    "credential_specs": "credential specs (gMSA)",
}
"""Likewise for a container."""

ASSOCIATIONS = {"gpu": "GPUs", "elastic-inference": "Elastic Inference"}
ATTACHMENTS = {"serviceconnectdetail": "Service Connect", "amazonebs": "EBS volumes", "s3files": "S3 Files volumes"}
REGISTRIES = {"ecr": "registry authentication by role (ecr)", "asm": "registry credentials in Secrets Manager (asm)"}
LOG_DRIVERS = {"awsfirelens": "FireLens"}


def refuse_what_is_missing(task: Task) -> None:
    """Raise BadInput, with the field and the feature, if *task* asks for a feature that is not there."""
    for field, feature in OF_TASKS.items():
        if getattr(task, field):
            raise _missing(_camel(field), feature)
    if task.network_mode == "awsvpc":
        raise _missing("networkMode", "network mode awsvpc")
    for at, association in enumerate(task.associations or ()):
        kind = association.type or ""
        raise _missing(f"associations[{at}]", ASSOCIATIONS.get(kind, f"associations of type {kind!r}"))
    for at, attachment in enumerate(task.attachments or ()):
        if attachment.attachment_type is None:
            raise BadInput(f"attachments[{at}].attachmentType", "is missing")
        if attachment.attachment_type in ATTACHMENTS:
            raise _missing(f"attachments[{at}]", ATTACHMENTS[attachment.attachment_type])
    for at, container in enumerate(task.containers or ()):
        _refuse_of_container(container, f"containers[{at}]")


def _refuse_of_container(container: Container, path: str) -> None:
    for field, feature in OF_CONTAINERS.items():
        if getattr(container, field):
            raise _missing(join(path, _camel(field)), feature)
    for at, mapping in enumerate(container.port_mappings or ()):
        if mapping.container_port_range:
            raise _missing(f"{path}.portMappings[{at}].containerPortRange", "ranges of ports")
    registry = container.registry_authentication
    if registry is not None and registry.type:
        feature = REGISTRIES.get(registry.type, f"registry authentication of type {registry.type!r}")
        raise _missing(f"{path}.registryAuthentication", feature)
    if container.restart_policy is not None and container.restart_policy.enabled:
        raise _missing(f"{path}.restartPolicy", "restart policies")
    _refuse_of_docker(container, path)


def _refuse_of_docker(container: Container, path: str) -> None:
    """Look into Docker's documents for what only the agent could do, and find out whether they are documents."""
    if container.docker_config is None:
        return
    read_document(container.docker_config.config, f"{path}.dockerConfig.config")
    where = f"{path}.dockerConfig.hostConfig"
    host = read_document(container.docker_config.host_config, where)
    logs = host.get("LogConfig")
    driver = logs.get("Type") if isinstance(logs, dict) else None
    if isinstance(driver, str) and driver in LOG_DRIVERS:
        raise _missing(f"{where}.LogConfig", LOG_DRIVERS[driver])
    if driver == "awslogs" and container.logs_auth_strategy == "ExecutionRole":
        raise _missing(f"{path}.logsAuthStrategy", "awslogs with the execution role (logsAuthStrategy)")
    options = host.get("SecurityOpt")
    if any(
        isinstance(o, str) and o.startswith("credentialspec:") for o in (options if isinstance(options, list) else ())
    ):
        raise _missing(f"{where}.SecurityOpt", "credential specs (gMSA)")


def _missing(path: str, feature: str) -> BadInput:
    return BadInput(path, f"{feature}: not supported by this agent yet")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
