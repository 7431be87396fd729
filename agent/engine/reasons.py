"""The reasons that the engine itself gives to ECS, in the words that ECS users know."""

from agent.model.seen import Seen

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
VANISHED = "ContainerVanishedError: the container was removed outside ECS"
RESTARTED_OUTSIDE = "DockerStateError: the container was restarted outside ECS"
FOUND_UNSTARTED = "DockworkerError: a container of this task was found without a record of it, and nothing of it runs"
NO_START = "CannotStartContainerError: the container engine accepted the start, and the container did not start"
NEVER_ANSWERED = "DockerStateError: the container could not be found again after its creation was interrupted"


def of_exit(seen: Seen) -> str:
    """Why a container that has stopped did so, as far as Docker says; ``""`` for a plain exit."""
    if seen.oom_killed:
        return OUT_OF_MEMORY
    return f"DockerStateError: {seen.error}" if seen.error else ""


def port_reserved(port: int) -> str:
    """A task asks for a host port that belongs to the host."""
    return f"CannotStartContainerError: host port {port} is reserved on this container instance"


def port_taken(port: int) -> str:
    """A fixed host port is in use by something else."""
    return f"CannotStartContainerError: host port {port} is already in use on this container instance"


def no_free_port(first: int, last: int) -> str:
    """Every port of the dynamic range is leased or in use."""
    return f"CannotStartContainerError: no free host port in the dynamic range {first}-{last}"


def broken(where: str) -> str:
    """A bug of ours met the task."""
    return f"DockworkerError: an internal error met this task and it was stopped: {where}"
