"""The rules a task definition must keep, and how it reads back: defaults filled in (API: RegisterTaskDefinition).

Whatever the agent could not carry out yet is refused by name, so that no task ever runs as half of what was asked.
"""

import re

from agent.controlplane.amounts import read_amount
from agent.controlplane.faults import client, unsupported
from agent.controlplane.honoured import refuse_the_rest, words
from agent.controlplane.records import JsonObject

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
MODES = ("bridge", "host", "none")
LEAST_MEMORY = 6
MOST_CONTAINERS = 10
STOP_TIMEOUT = range(2, 121)
PORTS = range(65_536)

TASK_MEMBERS = words(
    "family containerDefinitions cpu memory networkMode requiresCompatibilities taskRoleArn executionRoleArn"
    " runtimePlatform tags"
)
CONTAINER_MEMBERS = words(
    "name image cpu memory memoryReservation portMappings essential entryPoint command environment stopTimeout hostname"
    " user workingDirectory disableNetworking privileged readonlyRootFilesystem dnsServers dnsSearchDomains extraHosts"
    " dockerSecurityOptions interactive pseudoTerminal dockerLabels ulimits logConfiguration healthCheck systemControls"
    " linuxParameters"
)
PORT_MEMBERS = frozenset(("containerPort", "hostPort", "protocol", "name"))
LOG_MEMBERS = frozenset(("logDriver", "options"))


def read_body(request: JsonObject) -> JsonObject:
    """The body of a new revision. Raises ClientException where a rule is broken."""
    refuse_the_rest(request, TASK_MEMBERS, "in a task definition")
    if not NAME.fullmatch(request["family"]):
        raise client("Family contains invalid characters: it must hold 1 to 255 letters, digits, _ and -.")
    mode = request.get("networkMode", "bridge")
    if mode not in MODES:
        raise unsupported(f"networkMode {mode}")
    body: JsonObject = {"family": request["family"], "networkMode": mode, "volumes": [], "placementConstraints": []}
    for member in ("cpu", "memory"):
        if member in request:
            body[member] = str(read_amount(member, request[member], client))
    for member in ("taskRoleArn", "executionRoleArn", "requiresCompatibilities", "runtimePlatform"):
        if request.get(member):
            body[member] = request[member]
    _check_platform(body)
    given = request["containerDefinitions"]
    if not given:
        raise client("Task definition must have at least one container definition.")
    if len(given) > MOST_CONTAINERS:
        raise client(f"A task definition must have at most {MOST_CONTAINERS} container definitions.")
    body["containerDefinitions"] = [_read_container(container, mode) for container in given]
    _check_together(body)
    return body


def _check_platform(body: JsonObject) -> None:
    for wanted in body.get("requiresCompatibilities", ()):
        if wanted not in ("EC2", "EXTERNAL"):
            raise unsupported(f"requiresCompatibilities {wanted}")
    system = body.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX")
    if system != "LINUX":
        raise unsupported(f"runtimePlatform.operatingSystemFamily {system}")


def _check_together(body: JsonObject) -> None:
    containers = body["containerDefinitions"]
    names = [container["name"] for container in containers]
    for name in names:
        if names.count(name) > 1:
            raise client(f"Container name '{name}' is used more than once.")
    if not any(container["essential"] for container in containers):
        raise client("A task definition must have at least one essential container.")
    for container in containers:
        if "memory" not in body and not container.get("memory") and not container.get("memoryReservation"):
            raise client(
                f"Invalid setting for container '{container['name']}'."
                " At least one of 'memory' or 'memoryReservation' must be specified."
            )
    if "cpu" in body and sum(container["cpu"] for container in containers) > int(body["cpu"]):
        raise client("The total cpu of the containers must not exceed the cpu of the task.")
    for member in ("memory", "memoryReservation"):
        if "memory" in body and sum(container.get(member, 0) for container in containers) > int(body["memory"]):
            raise client(f"The total {member} of the containers must not exceed the memory of the task.")


def _read_container(given: JsonObject, mode: str) -> JsonObject:
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
        "portMappings": [_read_port(port, mode, where) for port in given.get("portMappings", ())],
    }
    _check_amounts(container, where)
    _check_ports(container, where)
    _check_pairs(container, where)
    _check_details(container, mode, where)
    return container


def _check_amounts(container: JsonObject, where: str) -> None:
    if container["cpu"] < 0:
        raise client(f"cpu {where} must not be negative.")
    for member in ("memory", "memoryReservation"):
        if member in container and container[member] < LEAST_MEMORY:
            raise client(f"{member} {where} must be at least {LEAST_MEMORY} MiB.")
    if "memory" in container and container.get("memoryReservation", 0) > container["memory"]:
        raise client(f"memoryReservation {where} must not exceed its memory.")
    if "stopTimeout" in container and container["stopTimeout"] not in STOP_TIMEOUT:
        raise client(f"stopTimeout {where} must be between {STOP_TIMEOUT.start} and {STOP_TIMEOUT.stop - 1} seconds.")


def _read_port(given: JsonObject, mode: str, where: str) -> JsonObject:
    refuse_the_rest(given, PORT_MEMBERS, f"in a port mapping {where}")
    if mode == "none":
        raise client(f"portMappings {where} cannot be used with networkMode none.")
    port = given.get("containerPort", 0)
    host_port = given.get("hostPort", port if mode == "host" else 0)
    if port not in PORTS or port == 0:
        raise client(f"containerPort {where} must be between 1 and 65535.")
    if host_port not in PORTS:
        raise client(f"hostPort {where} must be between 0 and 65535.")
    if mode == "host" and host_port not in (0, port):
        raise client(f"hostPort {where} must be empty or equal to containerPort with networkMode host.")
    read = {**given, "containerPort": port, "hostPort": port if mode == "host" else host_port}
    return {"protocol": "tcp", **read}


def _check_ports(container: JsonObject, where: str) -> None:
    transports: dict[int, str] = {}
    for port in container["portMappings"]:
        if transports.setdefault(port["containerPort"], port["protocol"]) != port["protocol"]:
            raise client(f"containerPort {port['containerPort']} {where} cannot be both tcp and udp.")


def _check_pairs(container: JsonObject, where: str) -> None:
    """What the agent needs of entries whose members the published model leaves open."""
    for variable in container["environment"]:
        if not variable.get("name"):
            raise client(f"environment {where} holds an entry without a name.")
    for control in container["systemControls"]:
        if not control.get("namespace") or not control.get("value"):
            raise client(f"systemControls {where} holds an entry without a namespace or a value.")


def _check_details(container: JsonObject, mode: str, where: str) -> None:
    if mode == "host":
        for member in ("hostname", "disableNetworking"):
            if container.get(member):
                raise client(f"{member} {where} cannot be used with networkMode host.")
    log = container.get("logConfiguration")
    if log is not None:
        refuse_the_rest(log, LOG_MEMBERS, f"in the logConfiguration {where}")
        if log["logDriver"] == "awsfirelens":
            raise unsupported("logDriver awsfirelens")
    check = container.get("healthCheck")
    if check is not None:
        container["healthCheck"] = _read_health(check, where)


def _read_health(given: JsonObject, where: str) -> JsonObject:
    command = given["command"]
    if not command or command[0] not in ("CMD", "CMD-SHELL", "NONE"):
        raise client(f"healthCheck.command {where} must begin with CMD, CMD-SHELL or NONE.")
    check = {"interval": 30, "timeout": 5, "retries": 3, **given}
    limits = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
    for member, (least, most) in limits.items():
        if member in check and not least <= check[member] <= most:
            raise client(f"healthCheck.{member} {where} must be between {least} and {most}.")
    return check
