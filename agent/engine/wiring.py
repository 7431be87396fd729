"""What a container shares with the rest of its task, in Docker's words."""

from agent.engine import reasons
from agent.engine.naming import cgroup_path, container_name, metadata_id, volume_source
from agent.model.acts import Wiring
from agent.model.errors import GiveUp
from agent.model.parts import Mount
from agent.model.rules import Rules
from agent.model.status import ResourceKind
from agent.model.task import ContainerSpec, Task, TaskSpec


def of_container(task: Task, spec: ContainerSpec, rules: Rules) -> Wiring:
    """The wiring of *spec*. Raises GiveUp where a mount names nothing that could be mounted."""
    names = task.spec
    shows_memory = rules.propagates_memory and rules.cgroup_version != 1 and not spec.memory
    has_cgroup = any(one.kind is ResourceKind.CGROUP for one in task.resources)
    return Wiring(
        links=tuple(f"{container_name(names, one.container)}:{one.alias or one.container}" for one in spec.links),
        binds=tuple(_bind(names, spec, mount) for mount in spec.mounts),
        volumes_from=tuple(
            container_name(names, one.container) + (":ro" if one.read_only else "") for one in spec.volumes_from
        ),
        pid_mode=names.pid_mode,
        ipc_mode=names.ipc_mode,
        cgroup_parent=cgroup_path(names, rules.cgroup_version) if has_cgroup else "",
        task_memory=names.memory if shows_memory else 0,
        metadata_id=metadata_id(task.draw, spec.name),
        task_credentials_id=names.task_credentials_id,
        execution_credentials_id=names.execution_credentials_id,
        has_gpus=any(one.gpus for one in names.containers),
        task_volumes=tuple(one.name for one in names.volumes if one.is_dockers and not one.is_shared),
    )


def _bind(spec: TaskSpec, container: ContainerSpec, mount: Mount) -> str:
    volume = next((one for one in spec.volumes if one.name == mount.volume), None)
    if volume is None:
        raise GiveUp(*reasons.unknown_volume(container.name, mount.volume))
    if not mount.path:
        raise GiveUp(*reasons.mount_without_path(container.name, mount.volume))
    return f"{volume_source(spec, volume)}:{mount.path}{':ro' if mount.read_only else ''}"
