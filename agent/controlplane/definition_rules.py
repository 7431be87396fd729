"""The rules a task definition must keep, and how it reads back: defaults filled in (API: RegisterTaskDefinition).

What Amazon ECS knows and the agent could not carry out is refused by name, so that no task ever runs as half of what
was asked.
"""

from agent.controlplane.amounts import read_amount
from agent.controlplane.definition_containers import Frame, read_container
from agent.controlplane.definition_order import check_order
from agent.controlplane.definition_sums import check_sums
from agent.controlplane.definition_volumes import read_volumes
from agent.controlplane.faults import client, unsupported
from agent.controlplane.honoured import refuse_the_rest, words
from agent.controlplane.names import NAME, repeated
from agent.controlplane.records import JsonObject

MODES = ("bridge", "host", "none")
SHARED_BY_A_TASK = "task"
MOST_CONTAINERS = 10

TASK_MEMBERS = words(
    "family containerDefinitions cpu memory networkMode requiresCompatibilities taskRoleArn executionRoleArn"
    " runtimePlatform volumes pidMode ipcMode enableFaultInjection tags"
)


def read_body(request: JsonObject) -> JsonObject:
    """The body of a new revision. Raises ClientException where a rule is broken."""
    refuse_the_rest(request, TASK_MEMBERS, "in a task definition")
    if not NAME.fullmatch(request["family"]):
        raise client("Family contains invalid characters: it must hold 1 to 255 letters, digits, _ and -.")
    body = _of_task(request)
    given = request["containerDefinitions"]
    if not given:
        raise client("Task definition must have at least one container definition.")
    if len(given) > MOST_CONTAINERS:
        raise client(f"A task definition must have at most {MOST_CONTAINERS} container definitions.")
    frame = Frame(
        network_mode=body["networkMode"],
        ipc_mode=body.get("ipcMode", ""),
        volumes=frozenset(volume["name"] for volume in body["volumes"]),
        has_execution_role="executionRoleArn" in body,
    )
    body["containerDefinitions"] = [read_container(container, frame) for container in given]
    _check_together(body)
    return body


def _of_task(request: JsonObject) -> JsonObject:
    mode = request.get("networkMode", "bridge")
    if mode not in MODES:
        raise unsupported(f"networkMode {mode}")
    body: JsonObject = {
        "family": request["family"],
        "networkMode": mode,
        "volumes": read_volumes(request.get("volumes", ())),
        "placementConstraints": [],
    }
    for member in ("cpu", "memory"):
        if member in request:
            body[member] = str(read_amount(member, request[member], client))
    for member in ("pidMode", "ipcMode"):
        if request.get(member) == SHARED_BY_A_TASK:
            raise unsupported(f"{member} {SHARED_BY_A_TASK}")
    for member in (
        "taskRoleArn",
        "executionRoleArn",
        "requiresCompatibilities",
        "runtimePlatform",
        "pidMode",
        "ipcMode",
        "enableFaultInjection",
    ):
        if request.get(member):
            body[member] = request[member]
    _check_platform(body)
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
    twice = repeated(container["name"] for container in containers)
    if twice:
        raise client(f"Container name '{twice}' is used more than once.")
    if not any(container["essential"] for container in containers):
        raise client("A task definition must have at least one essential container.")
    for container in containers:
        if "memory" not in body and not container.get("memory") and not container.get("memoryReservation"):
            raise client(
                f"Invalid setting for container '{container['name']}'."
                " At least one of 'memory' or 'memoryReservation' must be specified."
            )
    check_sums(containers, int(body.get("cpu", 0)), int(body.get("memory", 0)), client)
    check_order(containers, body["networkMode"])
