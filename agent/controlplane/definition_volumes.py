"""The rules of volumes and of the places they are mounted at (API: Volume, MountPoint)."""

from collections.abc import Collection, Iterable

from agent.controlplane.faults import client
from agent.controlplane.honoured import refuse_the_rest
from agent.controlplane.names import NAME, repeated
from agent.controlplane.records import JsonObject

HOST, DOCKER, EFS = "host", "dockerVolumeConfiguration", "efsVolumeConfiguration"
VOLUME_MEMBERS = frozenset(("name", HOST, DOCKER, EFS))
PORTS = range(1, 65_536)


def read_volumes(given: Iterable[JsonObject]) -> list[JsonObject]:
    """The volumes of a task as they read back. Raises ClientException."""
    volumes = [_read_volume(volume) for volume in given]
    if twice := repeated(volume["name"] for volume in volumes):
        raise client(f"Volume name '{twice}' is used more than once.")
    return volumes


def _read_volume(given: JsonObject) -> JsonObject:
    name = given.get("name", "")
    if not NAME.fullmatch(name):
        raise client(f"Volume.name must hold 1 to 255 letters, digits, _ and -: {name[:255]!r}")
    where = f"of volume '{name}'"
    refuse_the_rest(given, VOLUME_MEMBERS, where)
    kinds = [kind for kind in (HOST, DOCKER, EFS) if kind in given and (given[kind] or kind != HOST)]
    if len(kinds) > 1:
        raise client(f"{' and '.join(kinds)} {where} exclude each other.")
    if kinds == [DOCKER]:
        return {"name": name, DOCKER: _read_docker(given[DOCKER], where)}
    if kinds == [EFS]:
        return {"name": name, EFS: _read_efs(given[EFS], where)}
    host = given.get(HOST, {})
    if host.get("sourcePath") == "":
        raise client("host.sourcePath should not be blank.")
    if not host.get("sourcePath", "/").startswith("/"):
        raise client(f"host.sourcePath {where} must be an absolute path.")
    return {"name": name, HOST: host}


def _read_docker(given: JsonObject, where: str) -> JsonObject:
    read = {"scope": "task", **given}
    if read.get("autoprovision") and read["scope"] != "shared":
        raise client(f"dockerVolumeConfiguration.autoprovision {where} can be used with scope shared only.")
    if read.get("driver") == "":
        raise client(f"dockerVolumeConfiguration.driver {where} should not be blank.")
    return read


def _read_efs(given: JsonObject, where: str) -> JsonObject:
    access = given.get("authorizationConfig", {})
    encrypted = given.get("transitEncryption") == "ENABLED"
    if not given["fileSystemId"]:
        raise client(f"efsVolumeConfiguration.fileSystemId {where} should not be blank.")
    if access.get("iam") == "ENABLED" and not encrypted:
        raise client(f"efsVolumeConfiguration.transitEncryption {where} must be ENABLED to use IAM.")
    if access.get("accessPointId"):
        if not encrypted:
            raise client(f"efsVolumeConfiguration.transitEncryption {where} must be ENABLED to use an access point.")
        if given.get("rootDirectory", "/") not in ("", "/"):
            raise client(f"efsVolumeConfiguration.rootDirectory {where} must be absent or / with an access point.")
    port = given.get("transitEncryptionPort")
    if port is not None and port not in PORTS:
        raise client(f"efsVolumeConfiguration.transitEncryptionPort {where} must be between 1 and 65535.")
    return {**given, "rootDirectory": given.get("rootDirectory") or "/"}


def check_mounts(container: JsonObject, volumes: Collection[str], where: str) -> None:
    """Every mount point names a volume of the task, and no two the same place. Raises ClientException."""
    paths = []
    for mount in container["mountPoints"]:
        volume, path = mount.get("sourceVolume", ""), mount.get("containerPath", "")
        if volume not in volumes:
            raise client(f"Unknown volume '{volume[:255]}'.")
        if not path.startswith("/"):
            raise client(f"mountPoints {where}: containerPath must be an absolute path.")
        if path.rstrip("/") == "":
            raise client(f"mountPoints {where}: nothing can be mounted over /.")
        paths.append(path.rstrip("/"))
    if twice := repeated(paths):
        raise client(f"mountPoints {where} uses {twice} more than once.")
