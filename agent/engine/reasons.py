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


def no_free_range(count: int, first: int, last: int) -> str:
    """Nowhere in the dynamic range are so many ports free that follow each other."""
    return (
        f"CannotStartContainerError: {count} contiguous host ports are unavailable in the dynamic range {first}-{last}"
    )


def too_many_bindings(asked: int, most: int) -> str:
    """A container publishes more than ECS can be told of."""
    return f"CannotStartContainerError: the container has {asked} port mappings, and ECS takes {most} network bindings"


OPERATOR_STOP = "OperatorStop"
"""How the reason begins for whatever ended because somebody on this machine said so."""


def stopped_by(operator: str, *, force: bool) -> str:
    """An operator asked for the end, not ECS."""
    return f"{OPERATOR_STOP}: {'killed' if force else 'stopped'} by {operator}"


NOT_INITIALIZED = "ResourceInitializationError"
BAD_HOST_CONFIG = "HostConfigError"


def too_large(what: str, asked: int, has: int) -> str:
    """A task asks for more than the whole host has."""
    return f"{NOT_INITIALIZED}: the task asks for {asked} {what}, and this container instance has {has} for tasks"


def no_such_gpu(gpu: str) -> str:
    """A task was given a GPU that is not here."""
    return f"{NOT_INITIALIZED}: this container instance has no GPU {gpu}"


def more_than_its_task(container: str, memory: int, task_memory: int) -> tuple[str, str]:
    """A container may use more memory than the task it is a part of."""
    text = f"container {container} may use {memory} MiB of memory, more than the {task_memory} MiB of its task"
    return NOT_INITIALIZED, text


def unknown_volume(container: str, volume: str) -> tuple[str, str]:
    """A mount names a volume that the task does not have."""
    if not volume:
        return BAD_HOST_CONFIG, f"a mount point of container {container} names no source volume"
    return BAD_HOST_CONFIG, f"container {container} mounts volume {volume}, which the task does not have"


def mount_without_path(container: str, volume: str) -> tuple[str, str]:
    """A mount says not where."""
    return BAD_HOST_CONFIG, f"container {container} mounts volume {volume} without a container path"


def as_task_reason(reason: str) -> str:
    """*reason* as ECS shows it of a task: begun with a capital, white space collapsed."""
    words = " ".join(reason.split())
    return words[:1].upper() + words[1:]


def broken(where: str) -> str:
    """A bug of ours met the task."""
    return f"DockworkerError: an internal error met this task and it was stopped: {where}"
