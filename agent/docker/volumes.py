"""From a volume of a task to the body of Docker's call that creates it."""

import re
from collections.abc import Mapping
from typing import Any

from agent.docker.environment import credentials_path
from agent.docker.reasons import BAD_VOLUME, CANNOT_CREATE_VOLUME
from agent.docker.surroundings import Surroundings
from agent.model.acts import CreateVolume
from agent.model.errors import GiveUp
from agent.model.parts import Efs, Volume, VolumeKind

Body = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

PLUGIN = "amazon-ecs-volume-plugin"
_NFS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"
"""What Amazon recommends for EFS (EFS user guide, mount settings)."""
_NEVER_SECRET = frozenset({"type", "device"})
"""Options of Docker's own driver that name a file system and where it is."""


def create_body(act: CreateVolume, host: Surroundings) -> Body:
    """The create body of *act*, without our labels. Raises GiveUp where the host lacks what the volume needs."""
    volume = act.volume
    driver, options = volume.driver, dict(volume.options)
    if volume.kind is VolumeKind.EFS:
        driver, options = _efs(volume.efs or Efs(""), act, host)
    elif volume.kind is VolumeKind.HOST:
        driver, options = "local", {}
    return {"Name": act.name, "Driver": driver, "DriverOpts": options, "Labels": dict(volume.labels)}


def is_name(name: str) -> bool:
    """Can a volume have this name? What Docker's own driver takes is all that ECS lets people ask for."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raises GiveUp for what can be no volume's name, and would mean something else in an address."""
    if not is_name(name):
        raise GiveUp(CANNOT_CREATE_VOLUME, f"{name!r} is no name of a volume")


def check_match(volume: Volume, name: str, found: Mapping[str, Any]) -> None:
    """Raises GiveUp unless the shared volume that Docker *found* has the labels and options asked for."""
    if (found.get("Labels") or {}) != volume.labels:
        raise GiveUp(BAD_VOLUME, f"volume {name} exists, and its labels are not those of the task definition")
    if (found.get("Options") or {}) != volume.options:
        raise GiveUp(BAD_VOLUME, f"volume {name} exists, and its driver options are not those of the task definition")


def private_in(volume: Volume) -> frozenset[str]:
    """The option values that no reason may show: a driver's may hold passwords, what we compose holds none."""
    return frozenset(value for name, value in volume.options.items() if name not in _NEVER_SECRET)


def missing(name: str) -> GiveUp:
    """A shared volume is not there and may not be made."""
    text = f"volume detection failed, volume '{name}' does not exist and autoprovision is set to false"
    return GiveUp(BAD_VOLUME, text)


def _efs(efs: Efs, act: CreateVolume, host: Surroundings) -> tuple[str, dict[str, str]]:
    """Driver and options of an EFS file system: by the plugin of ECS where the host has it, else by plain NFS."""
    if not host.efs_plugin:
        return "local", _by_nfs(efs, act, host)
    device = f"{efs.file_system}:{efs.root}" if efs.root else efs.file_system
    said = ",".join(_of_plugin(efs, act))
    return PLUGIN, {"type": "efs", "device": device} | ({"o": said} if said else {})


def _of_plugin(efs: Efs, act: CreateVolume) -> list[str]:
    said = []
    if efs.encrypted:
        said.append("tls")
        said += [f"tlsport={efs.encryption_port}"] if efs.encryption_port else []
    if efs.iam:
        if not act.task_credentials_id:
            raise GiveUp(CANNOT_CREATE_VOLUME, f"volume {act.volume.name} uses IAM, and the task has no role")
        said += ["iam", f"awscredsuri={credentials_path(act.task_credentials_id)}"]
    if efs.access_point:
        said.append(f"accesspoint={efs.access_point}")
    return said


def _by_nfs(efs: Efs, act: CreateVolume, host: Surroundings) -> dict[str, str]:
    """Plain NFS knows no encryption and no identity: rather no task than one that writes in the clear."""
    asked = {"encryption": efs.encrypted, "IAM": efs.iam, "an access point": bool(efs.access_point)}
    if lacking := [what for what, is_asked in asked.items() if is_asked]:
        text = f"volume {act.volume.name} asks for {' and '.join(lacking)}, which needs {PLUGIN} on this host"
        raise GiveUp(CANNOT_CREATE_VOLUME, text)
    address = f"{efs.file_system}.efs.{host.region}.{host.dns_suffix}"
    return {"type": "nfs", "device": f":{efs.root or '/'}", "o": f"addr={address},{_NFS}"}
