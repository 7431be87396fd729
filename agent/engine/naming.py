"""Names of what belongs to a task: readable first, and derived, so that a second attempt meets the first one's name."""

import hashlib
import re
from uuid import UUID

from agent.model.parts import Volume
from agent.model.task import TaskSpec

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9-]")


def container_name(spec: TaskSpec, container: str) -> str:
    """``ecs-<family>-<revision>-<container>-<20 hex>``; the digits derive from the task's ARN and the container's name.

    Docker's names allow what is left after the cleaning; two names that clean to the same text differ in their digits.
    """
    return _name(spec, container, container)


def volume_name(spec: TaskSpec, volume: Volume) -> str:
    """The Docker volume's name: derived like a container's for one of the task, and as it is for a shared one."""
    return volume.name if volume.is_shared else _name(spec, volume.name, f"volume\n{volume.name}")


def volume_source(spec: TaskSpec, volume: Volume) -> str:
    """What a mount of *volume* names: a path of the host, or a Docker volume."""
    return volume_name(spec, volume) if volume.is_dockers else volume.host_path


def cgroup_path(spec: TaskSpec, version: int) -> str:
    """The task's cgroup as Docker's ``CgroupParent`` takes it."""
    task_id = spec.arn.rpartition("/")[2]
    return f"/ecs/{task_id}" if version == 1 else f"ecstasks-{task_id}.slice"


def metadata_id(draw: str, container: str) -> str:
    """The secret part of a container's metadata address; nobody guesses it who does not know the task's draw."""
    return str(UUID(bytes=hashlib.sha256(f"{draw}\n{container}".encode()).digest()[:16])) if draw else ""


def _name(spec: TaskSpec, name: str, subject: str) -> str:
    digits = hashlib.sha256(f"{spec.arn}\n{subject}".encode()).hexdigest()[:20]
    readable = (_NOT_ALLOWED.sub("", part) for part in (spec.family, spec.version, name))
    return "-".join(("ecs", *(part for part in readable if part), digits))
