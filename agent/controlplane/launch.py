"""What a task is made of: its definition with the overrides of the call applied (API: TaskOverride)."""

import json
from dataclasses import dataclass

from agent.controlplane.amounts import read_amount
from agent.controlplane.definition_containers import check_requirements
from agent.controlplane.definition_sums import check_sums, gpus_of
from agent.controlplane.definition_values import check_files, check_secret_names
from agent.controlplane.faults import invalid
from agent.controlplane.honoured import refuse_the_rest
from agent.controlplane.records import Charge, JsonObject

LONGEST_OVERRIDES = 8192
TASK_OVERRIDES = frozenset(("containerOverrides", "cpu", "memory", "taskRoleArn", "executionRoleArn"))
IN_PLACE = frozenset(("command", "environmentFiles", "cpu", "memory", "memoryReservation", "resourceRequirements"))
"""Overrides that take the place of what the definition says; the environment is merged with it."""
CONTAINER_OVERRIDES = IN_PLACE | {"name", "environment"}


@dataclass(frozen=True, slots=True)
class Launch:
    """A task about to be placed, or being told to an agent. CPU in units, memory in MiB, 0 sets no limit."""

    containers: tuple[JsonObject, ...]
    network_mode: str
    cpu: int
    memory: int
    task_role: str
    execution_role: str

    @property
    def charge(self) -> Charge:
        """What it will hold of its instance, but for GPUs: which ones is known when it is placed."""
        ports = [port for container in self.containers for port in container["portMappings"] if port.get("hostPort")]
        return Charge(
            cpu=self.cpu or sum(container["cpu"] for container in self.containers),
            memory=self.memory or sum(c.get("memoryReservation") or c.get("memory", 0) for c in self.containers),
            tcp=tuple(port["hostPort"] for port in ports if port["protocol"] == "tcp"),
            udp=tuple(port["hostPort"] for port in ports if port["protocol"] == "udp"),
        )

    @property
    def gpus(self) -> int:
        """How many GPUs it needs."""
        return sum(gpus_of(container) for container in self.containers)


def read_overrides(given: JsonObject, body: JsonObject) -> JsonObject:
    """The overrides of a call, normalised: one entry for each container. Raises InvalidParameterException."""
    if len(json.dumps(given, ensure_ascii=False)) > LONGEST_OVERRIDES:
        raise invalid(f"overrides must be at most {LONGEST_OVERRIDES} characters of JSON")
    refuse_the_rest(given, TASK_OVERRIDES, "in overrides")
    names = [container["name"] for container in body["containerDefinitions"]]
    by_name: dict[str, JsonObject] = {name: {"name": name} for name in names}
    for override in given.get("containerOverrides", ()):
        refuse_the_rest(override, CONTAINER_OVERRIDES, "in containerOverrides")
        if not override:
            continue
        name = override.get("name", "")
        if not name:
            raise invalid("Container name cannot be empty in containerOverrides")
        if name not in by_name:
            raise invalid(f"Override for container named {name} is not a container in the TaskDefinition.")
        if len(by_name[name]) > 1:
            raise invalid(f"containerOverrides holds more than one entry for container {name}")
        by_name[name] |= override
        _check_override(by_name[name])
    read: JsonObject = {
        member: str(read_amount(member, given[member], invalid)) for member in ("cpu", "memory") if member in given
    }
    roles = {member: given[member] for member in ("taskRoleArn", "executionRoleArn") if given.get(member)}
    overrides = {"containerOverrides": list(by_name.values()), "inferenceAcceleratorOverrides": [], **read, **roles}
    _check_launch(launch_of(body, overrides))
    return overrides


def _check_launch(launch: Launch) -> None:
    """What the definition promised holds after the overrides as well."""
    check_sums(launch.containers, launch.cpu, launch.memory, invalid)
    for container in launch.containers:
        check_secret_names(container)


def _check_override(override: JsonObject) -> None:
    where = f"of container '{override['name']}' in containerOverrides"
    check_files(override.get("environmentFiles", ()), where, invalid)
    check_requirements(override.get("resourceRequirements", ()), where, invalid)
    for member in ("cpu", "memory", "memoryReservation"):
        if override.get(member, 1) < (0 if member == "cpu" else 1):
            raise invalid(f"{member} of container {override['name']} in containerOverrides is too small")
    for variable in override.get("environment", ()):
        if not variable.get("name"):
            raise invalid(
                f"environment of container {override['name']} in containerOverrides holds an entry without a name"
            )


def launch_of(body: JsonObject, overrides: JsonObject) -> Launch:
    """*body* with normalised *overrides* applied."""
    by_name = {override["name"]: override for override in overrides.get("containerOverrides", ())}
    containers = tuple(_overridden(c, by_name.get(c["name"], {})) for c in body["containerDefinitions"])
    return Launch(
        containers=containers,
        network_mode=body["networkMode"],
        cpu=int(overrides.get("cpu") or body.get("cpu", 0)),
        memory=int(overrides.get("memory") or body.get("memory", 0)),
        task_role=overrides.get("taskRoleArn") or body.get("taskRoleArn", ""),
        execution_role=overrides.get("executionRoleArn") or body.get("executionRoleArn", ""),
    )


def _overridden(container: JsonObject, override: JsonObject) -> JsonObject:
    environment = {variable["name"]: variable.get("value", "") for variable in container["environment"]}
    environment |= {variable["name"]: variable.get("value", "") for variable in override.get("environment", ())}
    plain = {member: value for member, value in override.items() if member in IN_PLACE}
    return {
        **container,
        **plain,
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
    }
