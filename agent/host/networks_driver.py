"""Enters the network of a container, or stays in that of the host, and runs tools there.

A container's network is entered by ``nsenter``. It is opened by way of the folder in ``/proc`` of the container's first
process, which stays that process's own even when its number is given to another, and only if Docker put that process
there: what is meant for a container must never hit the host because the container is gone.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import structlog

from agent.host.faults import Command
from agent.host.routes import default_interfaces
from agent.model.errors import AgentError
from agent.model.faults import FaultPlace

log = structlog.get_logger()

PROCESSES = Path("/proc")
PATIENCE = 4.0
"""Seconds for all commands of a request together: who asked is told within five, or not at all."""
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": SEARCHED, "LC_ALL": "C"}

Key = tuple[int, int]


class Refused(AgentError):
    """A tool says no."""


@dataclass(slots=True)
class Network:
    """A network to work in, and until when."""

    key: Key
    host: bool
    devices: tuple[str, ...]
    """The interfaces that lead out of it."""
    handle: int = -1
    until: float = field(default_factory=lambda: monotonic() + PATIENCE)

    def close(self) -> None:
        """Let go of it."""
        if self.handle >= 0:
            os.close(self.handle)

    def run(self, command: Command) -> str:
        """What *command* prints. Raises Refused, and subprocess.TimeoutExpired when time is up."""
        enter = () if self.host else ("nsenter", f"--net=/proc/self/fd/{self.handle}")
        handles = () if self.host else (self.handle,)
        left = max(0.0, self.until - monotonic())
        try:
            done = subprocess.run(  # noqa: S603 -- the words are ours, or checked
                (*enter, *command),
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=left,
                pass_fds=handles,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise Refused(f"{command[0]}: {error.strerror}") from error
        if done.returncode:
            raise Refused(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def takes(self, command: Command) -> bool:
        """Did *command* succeed? Raises subprocess.TimeoutExpired when time is up."""
        try:
            self.run(command)
        except Refused:
            return False
        return True


def open_network(place: FaultPlace, processes: Path = PROCESSES) -> Network | None:
    """The network of *place*; None where the container that is meant does not run, or has the one of the host."""
    own = (processes / "self/ns/net").stat()
    if place.is_host:
        devices = _devices(lambda name: (processes / "self/net" / name).read_text())
        return Network((own.st_dev, own.st_ino), host=True, devices=devices)
    try:
        with _folder(processes / str(place.pid)) as process:
            if place.docker_id not in _read(process, "cgroup"):
                return None
            handle = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
            found = os.fstat(handle)
            network = Network((found.st_dev, found.st_ino), host=False, devices=(), handle=handle)
            with _closed_on_error(network):
                network.devices = _devices(lambda name: _read(process, f"net/{name}"))
    except OSError as error:
        log.info("container_without_network", container=place.docker_id, error=error.strerror)
        return None
    if network.key == (own.st_dev, own.st_ino):
        network.close()
        return None
    return network


def _devices(table: Callable[[str], str]) -> tuple[str, ...]:
    """The interfaces that lead out, by a way to read the kernel's tables; one without IPv6 has no such table."""
    try:
        ipv6 = table("ipv6_route")
    except OSError:
        ipv6 = ""
    try:
        return default_interfaces(table("route"), ipv6)
    except (OSError, ValueError) as error:
        log.warning("routes_unreadable", error=str(error))
        return ()


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _closed_on_error(network: Network) -> Iterator[None]:
    try:
        yield
    except BaseException:
        network.close()
        raise


def _read(folder: int, name: str) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as file:
        return file.read()
