"""The volumes of a task on the wire, and what they come to."""

from collections.abc import Sequence
from enum import StrEnum

from agent.model.errors import BadInput
from agent.model.parts import Efs, Scope, Volume, VolumeKind
from agent.wire import acs_parts
from agent.wire.reading import filled, one_of

_KNOWN = {
    "fsxWindowsFileServer": "FSx for Windows File Server: not supported by this agent, which runs on Linux",
    "ebs": "EBS volumes: not supported by this agent yet",
    "logDriverOutput": "volumes of log drivers: not supported by this agent yet",
}
"""Types of the protocol that are no volumes here, and what is said of them."""


class _Switch(StrEnum):
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


def volumes(given: Sequence[acs_parts.Volume]) -> tuple[Volume, ...]:
    """The volumes of a task. Raises BadInput where one is wrong, or two have the same name."""
    found = tuple(_volume(one, f"volumes[{at}]") for at, one in enumerate(given))
    if len({one.name for one in found}) < len(found):
        raise BadInput("volumes", "two volumes have the same name")
    return found


def _volume(asked: acs_parts.Volume, path: str) -> Volume:
    name = filled(asked.name, f"{path}.name")
    if asked.type in _KNOWN:
        raise BadInput(f"{path}.type", _KNOWN[asked.type])
    match one_of(asked.type or VolumeKind.HOST, VolumeKind, f"{path}.type"):
        case VolumeKind.HOST:
            if asked.host is None:
                raise BadInput(f"{path}.host", "is missing")
            return Volume(name, VolumeKind.HOST, asked.host.source_path or "")
        case VolumeKind.DOCKER:
            return _of_docker(name, asked.docker_volume_configuration, f"{path}.dockerVolumeConfiguration")
        case VolumeKind.EFS:
            return _of_efs(name, asked.efs_volume_configuration, f"{path}.efsVolumeConfiguration")


def _of_docker(name: str, asked: acs_parts.DockerVolume | None, path: str) -> Volume:
    if asked is None:
        raise BadInput(path, "is missing")
    scope = one_of(asked.scope or Scope.TASK, Scope, f"{path}.scope")
    if asked.autoprovision and scope is Scope.TASK:
        raise BadInput(f"{path}.autoprovision", "is for volumes of scope shared")
    return Volume(
        name,
        VolumeKind.DOCKER,
        scope=scope,
        autoprovision=bool(asked.autoprovision),
        driver=asked.driver or "local",
        options=asked.driver_opts or {},
        labels=asked.labels or {},
    )


def _of_efs(name: str, asked: acs_parts.EfsVolume | None, path: str) -> Volume:
    if asked is None:
        raise BadInput(path, "is missing")
    who = asked.authorization_config or acs_parts.EfsAuthorization()
    efs = Efs(
        file_system=filled(asked.file_system_id, f"{path}.fileSystemId"),
        root=asked.root_directory or "",
        encrypted=_is_on(asked.transit_encryption, f"{path}.transitEncryption"),
        encryption_port=asked.transit_encryption_port or 0,
        access_point=who.access_point_id or "",
        iam=_is_on(who.iam, f"{path}.authorizationConfig.iam"),
    )
    return Volume(name, VolumeKind.EFS, efs=efs)


def _is_on(word: str | None, path: str) -> bool:
    return one_of(word or _Switch.DISABLED, _Switch, path) is _Switch.ENABLED
