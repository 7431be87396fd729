"""What a task may ask for that this agent does not have yet.

A task that asks for such a thing is refused with the name of the thing; run without it, it would do something else
than it was asked to. Empty lists, empty objects, ``false``, ``null`` and ``""`` ask for nothing. Whoever builds one of
these takes its line out.
"""

from agent.model.errors import BadInput
from agent.wire.acs_task import Container, Task
from agent.wire.reading import join, member, read_document

OF_TASKS = {
    "elastic_network_interfaces": "elastic network interfaces (awsvpc)",
    "proxy_configuration": "proxy configuration (App Mesh)",
}
"""Fields of a task whose being filled in asks for the thing named beside them."""

OF_CONTAINERS = {
    "firelens_configuration": "FireLens",
    "managed_agents": "ECS Exec (managedAgents)",
    "credential_specs": "credential specs (gMSA)",
}
"""Likewise for a container."""

MODES = {
    ("network_mode", "awsvpc"): "network mode awsvpc",
    ("pid_mode", "task"): "a PID namespace shared by the containers of a task (pidMode task)",
    ("ipc_mode", "task"): "an IPC namespace shared by the containers of a task (ipcMode task)",
}
"""Fields of a task and the words in them that ask for the thing named beside."""

GPU = "gpu"
ASSOCIATIONS = {"elastic-inference": "Elastic Inference"}
ATTACHMENTS = {"serviceconnectdetail": "Service Connect", "amazonebs": "EBS volumes", "s3files": "S3 Files volumes"}
LOG_DRIVERS = {"awsfirelens": "FireLens"}


def refuse_what_is_missing(task: Task) -> None:
    """Raise BadInput, with the field and the feature, if *task* asks for a feature that is not there."""
    for field, feature in OF_TASKS.items():
        if getattr(task, field):
            raise _missing(_camel(field), feature)
    for (field, word), feature in MODES.items():
        if getattr(task, field) == word:
            raise _missing(_camel(field), feature)
    for at, association in enumerate(task.associations or ()):
        kind = association.type or ""
        if kind != GPU:
            raise _missing(f"associations[{at}]", ASSOCIATIONS.get(kind, f"associations of type {kind!r}"))
    for at, attachment in enumerate(task.attachments or ()):
        _refuse_attachment(attachment.attachment_type, f"attachments[{at}]")
    for at, container in enumerate(task.containers or ()):
        _refuse_of_container(container, f"containers[{at}]")


def _refuse_attachment(kind: str | None, path: str) -> None:
    if kind is None:
        raise BadInput(f"{path}.attachmentType", "is missing")
    if kind in ATTACHMENTS:
        raise _missing(path, ATTACHMENTS[kind])


def _refuse_of_container(container: Container, path: str) -> None:
    for field, feature in OF_CONTAINERS.items():
        if getattr(container, field):
            raise _missing(join(path, _camel(field)), feature)
    _refuse_of_docker(container, path)


def _refuse_of_docker(container: Container, path: str) -> None:
    """Look into Docker's documents for what only the agent could do, and find out whether they are documents."""
    if container.docker_config is None:
        return
    read_document(container.docker_config.config, f"{path}.dockerConfig.config")
    where = f"{path}.dockerConfig.hostConfig"
    host = read_document(container.docker_config.host_config, where)
    logs = member(host, "LogConfig")
    driver = member(logs, "Type") if isinstance(logs, dict) else None
    if isinstance(driver, str) and driver in LOG_DRIVERS:
        raise _missing(f"{where}.LogConfig", LOG_DRIVERS[driver])
    options = member(host, "SecurityOpt")
    if any(
        isinstance(o, str) and o.startswith("credentialspec:") for o in (options if isinstance(options, list) else ())
    ):
        raise _missing(f"{where}.SecurityOpt", "credential specs (gMSA)")


def _missing(path: str, feature: str) -> BadInput:
    return BadInput(path, f"{feature}: not supported by this agent yet")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
