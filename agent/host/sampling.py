"""What the kernel's files say of a container's use of the machine, in both versions of cgroups. Pure.

A container's cgroup is found by the path that its first process is in. Of that path all is cut off that comes behind
the container's own directory: a container that runs systemd puts its processes further down.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Self

from agent.model.figures import Interface
from agent.model.names import DockerId

MICRO = 1000
"""Nanoseconds of one microsecond."""
CONTROLLERS = ("cpuacct", "memory", "blkio")
"""Those of v1 that are read."""
LOOPBACK = "lo"
_FIELDS = 16
"""Numbers behind the name of an interface: eight received, eight sent."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Counters and levels as the kernel has them now; the counters began with the present run of the container."""

    cpu: int
    memory: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    network: Mapping[str, Interface] | None = None

    def after(self, earlier: Self) -> Self:
        """These counters with those of *earlier* on top; levels are what they are now."""
        network = self.network
        if earlier.network:
            names = (*earlier.network, *(name for name in network or () if name not in earlier.network))
            now = network or {}
            network = {name: _sum(earlier.network.get(name), now.get(name)) for name in names}
        return replace(
            self,
            cpu=self.cpu + earlier.cpu,
            read_bytes=self.read_bytes + earlier.read_bytes,
            write_bytes=self.write_bytes + earlier.write_bytes,
            network=network,
        )


def _sum(one: Interface | None, other: Interface | None) -> Interface:
    if one is None or other is None:
        return one or other or Interface()
    return Interface(*(getattr(one, name) + getattr(other, name) for name in Interface.__slots__))


@dataclass(slots=True)
class Runs:
    """Makes the counters of one container go on where it is started again, and the kernel counts from nothing."""

    run: object
    _before: Raw = field(default_factory=lambda: Raw(0))
    _last: Raw = field(default_factory=lambda: Raw(0))

    def take(self, run: object, raw: Raw) -> Raw:
        """*raw*, read in *run*, with all that the runs before it came to."""
        if run != self.run:
            self.run, self._before = run, self._last
        self._last = raw.after(self._before)
        return self._last


def groups_of(text: str, docker_id: DockerId) -> dict[str, PurePosixPath]:
    """Where ``/proc/<pid>/cgroup`` says that a container is: by controller of v1; under ``""`` in v2.

    A group that is not named for the container is left out: the process may be another one by now.
    """
    found: dict[str, PurePosixPath] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if own := _own(PurePosixPath(path), docker_id):
            found.update(dict.fromkeys(names.split(","), own))
    return found


def _own(path: PurePosixPath, docker_id: DockerId) -> PurePosixPath | None:
    """*path* up to the directory that is named for the container, such as ``docker-<id>.scope``."""
    for at, part in enumerate(path.parts):
        if docker_id and docker_id in part:
            return PurePosixPath(*path.parts[: at + 1])
    return None


def places_of(path: PurePosixPath) -> Iterator[PurePosixPath]:
    """Where a cgroup may be below the place where its tree is mounted, the likeliest first; never the whole tree.

    Who looks from inside another cgroup sees a part of the tree only, while the path begins at the top of it, or with
    ``..``.
    """
    parts = [part for part in path.parts if part not in ("/", "..")]
    for at in range(len(parts)):
        yield PurePosixPath(*parts[at:])


def keyed(text: bytes, name: bytes) -> int | None:
    """The number behind *name* in a file of ``name number`` lines; None where there is none."""
    at = 0 if text.startswith(name + b" ") else text.find(b"\n" + name + b" ") + 1
    if not at and not text.startswith(name + b" "):
        return None
    begin = at + len(name) + 1
    end = text.find(b"\n", begin)
    return _number(text[begin : end if end >= 0 else len(text)])


def level(usage: int, droppable: int | None) -> int:
    """Memory in use without what the kernel can drop at once, unless that is said to be more than all of it."""
    return usage - droppable if droppable is not None and droppable < usage else usage


def io_v1(text: bytes) -> tuple[int, int]:
    """Bytes read and written, of all devices: lines such as ``259:0 Read 4096``."""
    read = written = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:  # noqa: PLR2004 -- device, operation, number; the totals have fewer
            operation = words[1].lower()
            read += _number(words[2]) or 0 if operation == b"read" else 0
            written += _number(words[2]) or 0 if operation == b"write" else 0
    return read, written


def io_v2(text: bytes) -> tuple[int, int]:
    """Bytes read and written, of all devices: lines such as ``259:0 rbytes=4096 wbytes=0 rios=1``."""
    read = written = 0
    for line in text.splitlines():
        for word in line.split()[1:]:
            name, _, value = word.partition(b"=")
            read += _number(value) or 0 if name == b"rbytes" else 0
            written += _number(value) or 0 if name == b"wbytes" else 0
    return read, written


def interfaces(text: bytes) -> dict[str, Interface]:
    """The interfaces in ``/proc/<pid>/net/dev``, without the loopback."""
    found: dict[str, Interface] = {}
    for line in text.splitlines()[2:]:
        name, colon, rest = line.partition(b":")
        numbers = rest.split()
        called = name.strip().decode(errors="replace")
        if colon and len(numbers) >= _FIELDS and called != LOOPBACK:
            received, sent = numbers[:4], numbers[8:12]
            found[called] = Interface(*(_number(one) or 0 for one in (*received, *sent)))
    return found


def _number(text: bytes) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
