"""Reads the kernel's figures of containers: cgroup files of either version, and ``/proc/<pid>/net/dev``.

One look at a container is five small files, some 60 microseconds; no daemon is asked. A container's process is held by
a descriptor of its directory in /proc, so that another process that is given the same number is never taken for it.
"""

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import structlog

from agent.host.sampling import (
    MICRO,
    Raw,
    Runs,
    groups_of,
    interfaces,
    io_v1,
    io_v2,
    keyed,
    level,
    places_of,
)
from agent.model.clock import Clock, utc_now
from agent.model.figures import Sample, Watched
from agent.model.names import DockerId

PROC = Path("/proc")
ROOT = Path("/sys/fs/cgroup")
CHUNK = 1 << 16
MAY_GO_ON = 2048
"""Octets. A shorter piece of a file of the kernel is the last one; a longer one may end where a page does."""

_MEMBERS = "cgroup.procs"
_IO_V1 = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes", "blkio.io_service_bytes")

log = structlog.get_logger()


class _NoCgroupError(Exception):
    """There is no cgroup where the container's should be."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the files of one run of a container are."""

    process: int
    """A descriptor of its directory in /proc."""
    cpu: str
    memory: str
    memory_stat: str
    io: str
    """Empty where block devices are not counted."""
    unified: bool


class SamplerDriver:
    """Fulfils the `Sampler` of telemetry. *root* is ``ECS_CGROUP_PATH``."""

    def __init__(self, root: Path = ROOT, proc: Path = PROC, *, clock: Clock = utc_now) -> None:
        self._root = root
        self._proc = proc
        self._clock = clock
        self._turn = threading.Lock()
        self._places: dict[Watched, _Place] = {}
        self._runs: dict[DockerId, Runs] = {}
        self._unread: set[Watched] = set()
        """Those whose files were not found, so that it is said once."""

    async def sample(self, watched: Sequence[Watched]) -> Mapping[DockerId, Sample]:
        """One look at each; one that has ended meanwhile is left out."""
        return await asyncio.to_thread(self._look, tuple(watched))

    def close(self) -> None:
        """Let go of all processes."""
        with self._turn:
            self._forget_others(frozenset())

    def _look(self, watched: Sequence[Watched]) -> dict[DockerId, Sample]:
        with self._turn:
            self._forget_others(frozenset(watched))
            samples = (self._sample(one) for one in watched)
            return {sample.docker_id: sample for sample in samples if sample is not None}

    def _forget_others(self, watched: frozenset[Watched]) -> None:
        for gone in self._places.keys() - watched:
            os.close(self._places.pop(gone).process)
        self._unread &= watched
        ids = {one.docker_id for one in watched}
        self._runs = {docker_id: runs for docker_id, runs in self._runs.items() if docker_id in ids}

    def _sample(self, watched: Watched) -> Sample | None:
        try:
            place = self._places.get(watched) or self._find(watched)
            raw = _read_all(place, shares_network=watched.shares_network)
        except _NoCgroupError as error:
            if watched not in self._unread:
                self._unread.add(watched)
                log.warning("container_not_measured", container=watched.docker_id[:12], missing=str(error))
            return None
        except (OSError, ValueError):  # it ends just now: its directory is there, and says nothing
            return None
        runs = self._runs.setdefault(watched.docker_id, Runs((watched.pid, watched.since)))
        whole = runs.take((watched.pid, watched.since), raw)
        return Sample(
            self._clock(),
            watched.docker_id,
            whole.cpu,
            whole.memory,
            whole.read_bytes,
            whole.write_bytes,
            raw.network if watched.keeps_network else whole.network,
        )

    def _find(self, watched: Watched) -> _Place:
        process = os.open(self._proc / str(watched.pid), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            groups = groups_of(_read("cgroup", process).decode(errors="replace"), watched.docker_id)
            try:
                place = self._v1(process, groups) if "memory" in groups else self._v2(process, groups)
            except _NoCgroupError:
                _look_at(process)  # one that has ended meanwhile has none, and that is how it should be
                raise
        except BaseException:
            os.close(process)
            raise
        self._places[watched] = place
        return place

    def _v1(self, process: int, groups: Mapping[str, PurePosixPath]) -> _Place:
        cpu, memory = self._hierarchy("cpuacct", groups), self._hierarchy("memory", groups)
        io = ""
        if "blkio" in groups:
            below = self._hierarchy("blkio", groups)
            io = next((str(below / name) for name in _IO_V1 if (below / name).exists()), "")
        usage, stat = memory / "memory.usage_in_bytes", memory / "memory.stat"
        return _Place(process, str(cpu / "cpuacct.usage"), str(usage), str(stat), io, unified=False)

    def _hierarchy(self, controller: str, groups: Mapping[str, PurePosixPath]) -> Path:
        """The directory of a controller of v1. Its mount point may be named for several, in any order."""
        if controller not in groups:
            raise _NoCgroupError(controller)
        mount = self._root / controller
        if not mount.exists():
            mounts = (one for one in self._root.iterdir() if controller in one.name.split(","))
            mount = next(mounts, mount)
        return _below(mount, groups[controller])

    def _v2(self, process: int, groups: Mapping[str, PurePosixPath]) -> _Place:
        if "" not in groups:
            raise _NoCgroupError("a group with its name")
        below = _below(self._root, groups[""])
        io = below / "io.stat"
        cpu, usage, stat = (str(below / name) for name in ("cpu.stat", "memory.current", "memory.stat"))
        return _Place(process, cpu, usage, stat, str(io) if io.exists() else "", unified=True)


def _below(mount: Path, path: PurePosixPath) -> Path:
    for place in places_of(path):
        if (mount / place / _MEMBERS).exists():
            return mount / place
    raise _NoCgroupError(f"{mount}{path}")


def _read_all(place: _Place, *, shares_network: bool) -> Raw:
    """All figures of a container that still runs. Raises OSError once it does not.

    The process is looked at first: while it lives, what the cgroup says is of this run and no later one.
    """
    network = None
    if shares_network:
        _look_at(place.process)
    else:
        network = interfaces(_read("net/dev", place.process))
    io = (0, 0)
    if place.unified:
        cpu = keyed(_read(place.cpu), b"usage_usec")
        droppable = b"inactive_file"
        io = io_v2(_read(place.io)) if place.io else io
    else:
        cpu = int(_read(place.cpu))
        droppable = b"cache"
        io = io_v1(_read(place.io)) if place.io else io
    if cpu is None:
        raise ValueError(place.cpu)
    memory = level(int(_read(place.memory)), keyed(_read(place.memory_stat), droppable))
    return Raw(cpu * MICRO if place.unified else cpu, memory, *io, network)


def _look_at(process: int) -> None:
    """Raises OSError where the process has ended."""
    os.stat("stat", dir_fd=process)


def _read(path: str, dir_fd: int | None = None) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        text = piece = os.read(handle, CHUNK)
        while len(piece) > MAY_GO_ON:
            piece = os.read(handle, CHUNK)
            text += piece
        return text
    finally:
        os.close(handle)
