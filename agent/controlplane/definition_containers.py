"""The rules of one container definition, and its defaults (API: ContainerDefinition)."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.controlplane.definition_ports import read_ports
from agent.controlplane.definition_sums import GPU
from agent.controlplane.definition_values import check_values
from agent.controlplane.definition_volumes import check_mounts
from agent.controlplane.faults import Fault, client, unsupported
from agent.controlplane.honoured import refuse_the_rest, words
from agent.controlplane.linux_parameters import check_linux
from agent.controlplane.names import NAME, repeated
from agent.controlplane.records import JsonObject

LEAST_MEMORY = 6
TIMEOUT = range(2, 121)
ATTEMPT_PERIOD = range(60, 1801)
MOST_IGNORED = 50
AWSLOGS_NEEDS = ("awslogs-region", "awslogs-group")
GPUS = re.compile(r"[1-9]\d{0,3}", re.ASCII)
IPC_CONTROLS = words(
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni"
    " kernel.shm_rmid_forced"
)

CONTAINER_MEMBERS = words(
    "name image cpu memory memoryReservation portMappings essential entryPoint command environment environmentFiles"
    " secrets repositoryCredentials dependsOn startTimeout stopTimeout restartPolicy hostname user workingDirectory"
    " disableNetworking privileged readonlyRootFilesystem dnsServers dnsSearchDomains extraHosts dockerSecurityOptions"
    " interactive pseudoTerminal dockerLabels ulimits logConfiguration healthCheck systemControls linuxParameters links"
    " mountPoints volumesFrom resourceRequirements versionConsistency"
)
LOG_MEMBERS = frozenset(("logDriver", "options", "secretOptions"))
REQUIREMENT_MEMBERS = frozenset(("type", "value"))


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a task definition its containers are checked against."""

    network_mode: str
    ipc_mode: str
    volumes: frozenset[str]
    has_execution_role: bool


def read_container(given: JsonObject, frame: Frame) -> JsonObject:
    """One container as it reads back. Raises ClientException where a rule is broken."""
    name = given.get("name", "")
    if not name:
        raise client("Container.name should not be null or empty.")
    if not NAME.fullmatch(name):
        raise client(f"Container.name contains invalid characters: {name[:255]!r}")
    where = f"of container '{name}'"
    if not given.get("image"):
        raise client("Container.image should not be null or empty.")
    refuse_the_rest(given, CONTAINER_MEMBERS, f"in a container definition ('{name}')")
    container: JsonObject = {
        "cpu": 0,
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        **{member: value for member, value in given.items() if member in CONTAINER_MEMBERS},
        "portMappings": read_ports(given.get("portMappings", ()), frame.network_mode, where),
    }
    _check_amounts(container, where)
    check_requirements(container.get("resourceRequirements", ()), where, client)
    check_values(container, where, has_execution_role=frame.has_execution_role)
    check_mounts(container, frame.volumes, where)
    _check_times(container, where)
    _check_restart(container.get("restartPolicy", {}), where)
    _check_logs(container.get("logConfiguration", {}), where)
    _check_network(container, frame.network_mode, where)
    _check_controls(container, frame, where)
    _check_security(container, where)
    check_linux(container, where)
    check = container.get("healthCheck")
    if check is not None:
        container["healthCheck"] = _read_health(check, where)
    return container


def check_requirements(given: Iterable[JsonObject], where: str, fault: Callable[[str], Fault]) -> None:
    """GPUs by number, at most one entry of them (API: ResourceRequirement)."""
    kinds = []
    for requirement in given:
        refuse_the_rest(requirement, REQUIREMENT_MEMBERS, f"in resourceRequirements {where}")
        kinds.append(requirement["type"])
        if requirement["type"] != GPU:
            raise unsupported(f"resourceRequirements of type {requirement['type']}")
        value = requirement.get("value", "")
        if not GPUS.fullmatch(value):
            raise fault(f"resourceRequirements {where}: the value of type GPU must be a number of GPUs.")
    if repeated(kinds):
        raise fault(f"resourceRequirements {where} holds more than one entry of type GPU.")


def _check_amounts(container: JsonObject, where: str) -> None:
    if container["cpu"] < 0:
        raise client(f"cpu {where} must not be negative.")
    for member in ("memory", "memoryReservation"):
        if member in container and container[member] < LEAST_MEMORY:
            raise client(f"{member} {where} must be at least {LEAST_MEMORY} MiB.")


def _check_times(container: JsonObject, where: str) -> None:
    for member in ("startTimeout", "stopTimeout"):
        if member in container and container[member] not in TIMEOUT:
            raise client(f"{member} {where} must be between {TIMEOUT.start} and {TIMEOUT.stop - 1} seconds.")


def _check_restart(given: JsonObject, where: str) -> None:
    period = given.get("restartAttemptPeriod")
    if period is not None and period not in ATTEMPT_PERIOD:
        raise client(
            f"restartPolicy.restartAttemptPeriod {where} must be between {ATTEMPT_PERIOD.start} and"
            f" {ATTEMPT_PERIOD.stop - 1} seconds."
        )
    if len(given.get("ignoredExitCodes", ())) > MOST_IGNORED:
        raise client(f"restartPolicy.ignoredExitCodes {where} must hold at most {MOST_IGNORED} exit codes.")


def _check_logs(given: JsonObject, where: str) -> None:
    refuse_the_rest(given, LOG_MEMBERS, f"in the logConfiguration {where}")
    driver, options = given.get("logDriver"), given.get("options", {})
    if driver == "awsfirelens":
        raise unsupported("logDriver awsfirelens")
    if driver == "awslogs":
        secret = {option["name"] for option in given.get("secretOptions", ())}
        missing = [option for option in AWSLOGS_NEEDS if not options.get(option) and option not in secret]
        if missing:
            raise client(f"Log driver awslogs requires options: {', '.join(missing)} ({where.removeprefix('of ')})")


def _check_network(container: JsonObject, mode: str, where: str) -> None:
    if mode == "host":
        for member in ("hostname", "disableNetworking"):
            if container.get(member):
                raise client(f"{member} {where} cannot be used with networkMode host.")


def _check_controls(container: JsonObject, frame: Frame, where: str) -> None:
    namespaces = []
    for control in container["systemControls"]:
        namespace = control.get("namespace", "")
        if not namespace or not control.get("value"):
            raise client(f"systemControls {where} holds an entry without a namespace or a value.")
        namespaces.append(namespace)
        is_of_network = namespace.startswith("net.")
        if not is_of_network and namespace not in IPC_CONTROLS and not namespace.startswith("fs.mqueue."):
            raise client(f"systemControls {where}: {namespace[:100]!r} is no parameter of a container's namespaces.")
        if is_of_network and frame.network_mode == "host":
            raise client(f"systemControls {where}: net.* cannot be used with networkMode host.")
        if not is_of_network and frame.ipc_mode == "host":
            raise client(f"systemControls {where}: {namespace} cannot be used with ipcMode host.")
    if twice := repeated(namespaces):
        raise client(f"systemControls {where} sets {twice} more than once.")


def _check_security(container: JsonObject, where: str) -> None:
    if any(option.startswith("credentialspec") for option in container.get("dockerSecurityOptions", ())):
        raise unsupported(f"credentialspec in dockerSecurityOptions {where}")
    limits = container.get("ulimits", ())
    for limit in limits:
        if min(limit["softLimit"], limit["hardLimit"]) < -1:
            raise client(f"ulimits {where}: the limits of {limit['name']} must be -1 (none) or more.")
        if limit["hardLimit"] != -1 and not 0 <= limit["softLimit"] <= limit["hardLimit"]:
            raise client(f"ulimits {where}: the softLimit of {limit['name']} must not exceed its hardLimit.")
    if twice := repeated(limit["name"] for limit in limits):
        raise client(f"ulimits {where} sets {twice} more than once.")


def _read_health(given: JsonObject, where: str) -> JsonObject:
    command = given["command"]
    if not command or command[0] not in ("CMD", "CMD-SHELL"):
        raise client(f"healthCheck.command {where} must begin with CMD or CMD-SHELL.")
    check = {"interval": 30, "timeout": 5, "retries": 3, **given}
    limits = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
    for member, (least, most) in limits.items():
        if member in check and not least <= check[member] <= most:
            raise client(f"healthCheck.{member} {where} must be between {least} and {most}.")
    return check
