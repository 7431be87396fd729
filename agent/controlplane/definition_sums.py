"""How the amounts of containers and of their task must fit together, in a definition and after overrides."""

from collections.abc import Callable, Sequence

from agent.controlplane.faults import Fault
from agent.controlplane.records import JsonObject

GPU = "GPU"


def check_sums(containers: Sequence[JsonObject], cpu: int, memory: int, fault: Callable[[str], Fault]) -> None:
    """Raise Fault where *containers* ask for more than their task has; 0 sets no limit to the task."""
    for container in containers:
        if "memory" in container and container.get("memoryReservation", 0) > container["memory"]:
            raise fault(f"memoryReservation of container '{container['name']}' must not exceed its memory.")
    if cpu and sum(container["cpu"] for container in containers) > cpu:
        raise fault("The total cpu of the containers must not exceed the cpu of the task.")
    for member in ("memory", "memoryReservation"):
        if memory and sum(container.get(member, 0) for container in containers) > memory:
            raise fault(f"The total {member} of the containers must not exceed the memory of the task.")


def gpus_of(container: JsonObject) -> int:
    """How many GPUs *container*, which has been checked, asks for."""
    return sum(int(requirement["value"]) for requirement in container.get("resourceRequirements", ()))
