"""What a task, and each of its containers, is waiting for."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from agent.engine import ordering
from agent.model.parts import Registry
from agent.model.status import Doing, Health, ResourceKind, ResourceStatus, Status
from agent.model.task import Container, ContainerSpec, Resource, Task
from agent.operator.ports import Credentials, Progress

_ACTS = {
    Doing.CREATE: "Docker to create it",
    Doing.START: "Docker to start it",
    Doing.STOP: "Docker to stop it",
    Doing.KILL: "Docker to kill it",
    Doing.INSPECT: "Docker to say what became of it",
    Doing.REMOVE: "Docker to remove it",
}
_KINDS = {
    ResourceKind.CGROUP: "the task's cgroup",
    ResourceKind.VALUES: "secrets, environment files or logins to be fetched",
}
MIB = 1 << 20


def of_task(task: Task, credentials: Credentials) -> Iterator[str]:
    """What the task as a whole waits for."""
    if task.wanted is Status.RUNNING and task.admitted is None:
        yield "CPU, memory, ports or GPUs of the host that other tasks hold"
    if task.wanted is Status.RUNNING and task.known < Status.RUNNING:
        for one in task.spec.credentials_ids:
            if credentials.get(one) is None:
                yield f"ECS to send the credentials {one}"
    if task.known is Status.STOPPED and not task.settled:
        yield "ECS to acknowledge that it has stopped"


def of_container(task: Task, spec: ContainerSpec, container: Container, pulls: Mapping[str, Progress]) -> Iterator[str]:
    """What one container waits for."""
    if container.is_doing(Doing.PULL):
        yield _pull(spec, pulls.get(spec.image))
    for act in container.doing:
        if act in _ACTS:
            yield _ACTS[act] + (", whose answer to that was lost" if act in container.lost else "")
    if container.wake_at is not None:
        yield f"another try at {container.wake_at.isoformat()}, after {container.tries} that failed"
    if container.wanted is Status.STOPPED or task.wanted is Status.STOPPED:
        yield from _before_its_stop(task, container)
    elif container.known < Status.CREATED and task.admitted is not None:
        yield from _before_its_creation(task, spec)
    elif container.known is Status.CREATED:
        yield from (_thing(one) for one in task.resources if _is_missing(one) and one.kind is ResourceKind.CGROUP)


def _pull(spec: ContainerSpec, progress: Progress | None) -> str:
    far = ""
    if progress is not None and progress.layers:
        far = f" ({progress.layers_done} of {progress.layers} layers"
        far += f", {progress.bytes_done / MIB:.1f} of {progress.bytes_total / MIB:.1f} MiB)"
    return f"its image {spec.image}{far}"


def _before_its_creation(task: Task, spec: ContainerSpec) -> Iterator[str]:
    for resource in task.resources:
        if _is_missing(resource) and _needs(spec, resource):
            yield _thing(resource)
    yield from _others(task, spec)


def _is_missing(resource: Resource) -> bool:
    return resource.known is ResourceStatus.NONE


def _thing(resource: Resource) -> str:
    again = f", again at {resource.wake_at.isoformat()}" if resource.wake_at is not None else ""
    return _KINDS.get(resource.kind, f"volume {resource.name}") + again


def _needs(spec: ContainerSpec, resource: Resource) -> bool:
    match resource.kind:
        case ResourceKind.VOLUME:
            return any(mount.volume == resource.name for mount in spec.mounts)
        case ResourceKind.VALUES:
            has_login = spec.registry is not None and spec.registry.kind is Registry.ASM
            return bool(spec.secrets or spec.environment_files or has_login)
        case ResourceKind.CGROUP:
            return False  # nothing but a start needs it


def _others(task: Task, spec: ContainerSpec) -> Iterator[str]:
    for need in spec.dependencies:
        alone = replace(spec, depends_on=(need,), links=(), volumes_from=())
        other = next((one for one in task.containers if one.name == need.container), None)
        if other is not None and ordering.obstacle(task, alone, None) is not None:
            limit = f", at the latest at {other.start_by.isoformat()}" if other.start_by is not None else ""
            yield f"container {need.container} to be {need.condition}{limit} (it is {_stands(other)})"


def _stands(other: Container) -> str:
    if other.known is Status.STOPPED and other.exit_code is not None:
        return f"STOPPED with exit code {other.exit_code}"
    return f"{other.known.name} and {other.health}" if other.health is not Health.UNKNOWN else other.known.name


def _before_its_stop(task: Task, container: Container) -> Iterator[str]:
    if container.at_rest:
        return
    if task.forced:
        yield "its end; an operator has it killed"
        return
    for spec, other in task.pairs():
        if not other.at_rest and any(need.container == container.name for need in spec.dependencies):
            yield f"container {other.name}, which needs it, to stop first"
    if container.kill_at is not None:
        yield f"its end; it is killed at {container.kill_at.isoformat()}"
