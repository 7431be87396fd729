"""What an engine says of itself: versions, drivers, and the size of its host."""

from collections.abc import Mapping
from typing import Any

import msgspec

from agent.model.errors import TryAgain
from agent.model.seen import EngineFacts

NEWEST_API = (1, 44)
"""The newest Docker Engine API that this room was written for; the oldest that current engines take."""
_IPC_IS_PRIVATE = (1, 40)
"""Requests of an older version mean a shareable namespace where they name none; later ones leave it to the engine."""


class _Version(msgspec.Struct, rename="pascal"):
    version: str
    api_version: str
    min_api_version: str = msgspec.field(name="MinAPIVersion", default="1.24")


class _Plugins(msgspec.Struct, rename="pascal"):
    log: tuple[str, ...] | None = None
    volume: tuple[str, ...] | None = None


class _Info(msgspec.Struct, rename="pascal"):
    plugins: _Plugins = msgspec.field(default_factory=_Plugins)
    runtimes: dict[str, Any] | None = None
    security_options: list[str] | None = None
    cgroup_version: str = "1"
    cgroup_driver: str = ""
    mem_total: int = 0
    processors: int = msgspec.field(name="NCPU", default=0)
    architecture: str = ""
    operating_system: str = ""
    docker_root_dir: str = ""


class _Refusal(msgspec.Struct):
    message: str


def version_of(answer: bytes) -> str:
    """The engine's version without build metadata."""
    return _version(answer).version.partition("+")[0]


def api_version_for(answer: bytes) -> str:
    """The API version to speak, as it stands in paths: the newest that both sides know, or else the engine's oldest."""
    said = _version(answer)
    newest, oldest = _numbers(said.api_version), _numbers(said.min_api_version)
    major, minor = max(min(NEWEST_API, newest), oldest)
    return f"v{major}.{minor}"


def ipc_mode_before_it_was_private(oldest_api_version: str) -> str:
    """What ECS users know an empty ``IpcMode`` to mean on an engine that still answers *oldest_api_version*.

    ECS asks for containers in the words of old API versions, whatever the engine speaks beside them.
    """
    return "shareable" if _numbers(oldest_api_version) < _IPC_IS_PRIVATE else ""


def read(answer: bytes, info: Mapping[str, Any]) -> EngineFacts:
    """The facts in the answers to /version and /info. Raises TryAgain where they cannot be read."""
    said = _version(answer)
    try:
        found = msgspec.convert(info, _Info)
    except msgspec.ValidationError as error:
        raise TryAgain(f"Docker's facts cannot be read: {error}") from error
    return EngineFacts(
        version=said.version.partition("+")[0],
        api_version=said.api_version,
        oldest_api_version=said.min_api_version,
        logging_drivers=found.plugins.log or (),
        volume_drivers=found.plugins.volume or (),
        runtimes=tuple(sorted(found.runtimes or {})),
        security_options=tuple(_option(text) for text in found.security_options or ()),
        cgroup_version=found.cgroup_version,
        cgroup_driver=found.cgroup_driver,
        memory=found.mem_total,
        processors=found.processors,
        architecture=found.architecture,
        operating_system=found.operating_system,
        root_dir=found.docker_root_dir,
    )


def message_of(answer: bytes) -> str:
    """The text of a refusal: Docker's ``message``, or the answer itself where it is no JSON."""
    try:
        return msgspec.json.decode(answer, type=_Refusal).message
    except msgspec.DecodeError:
        return answer.decode(errors="replace").strip()


def _option(text: str) -> str:
    """The name in an entry such as ``name=seccomp,profile=default``; old engines send the name alone."""
    return text.partition(",")[0].removeprefix("name=")


def _version(answer: bytes) -> _Version:
    try:
        return msgspec.json.decode(answer, type=_Version)
    except msgspec.DecodeError as error:
        raise TryAgain(f"Docker's version cannot be read: {error}") from error


def _numbers(version: str) -> tuple[int, int]:
    try:
        major, minor = version.split(".")
        return int(major), int(minor)
    except ValueError as error:
        raise TryAgain(f"Docker's API version cannot be read: {version!r}") from error
