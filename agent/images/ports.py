"""What the images' loops need of the world: Docker's images, its containers, disks, and a place to write down uses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.model.names import DockerId, Image, TaskArn
from agent.model.task import Task


@dataclass(frozen=True, slots=True)
class HostImage:
    """An image on the host, under every name that Docker lists for it."""

    id: str
    tags: tuple[str, ...] = ()
    """``name:tag``."""
    digests: tuple[str, ...] = ()
    """``name@sha256:…``."""
    created: datetime | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class HostContainer:
    """A container on the host, in whatever state."""

    id: DockerId
    image_id: str
    is_of_ecs: bool
    """True if a task of some agent holds it."""
    ended: bool = False
    """True if it does not run, and nothing but a user would make it run."""
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of an image that tasks have used."""

    id: str
    names: tuple[str, ...]
    """As Docker lists them; those by which tasks asked for it."""
    pulled_at: datetime
    """When it was first seen here; another pull does not make it younger."""
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image name that was fetched, as the task definition has it, and when it last was."""

    image: Image
    at: datetime


@dataclass(frozen=True, slots=True)
class Fullness:
    """How full a file system is, in per cent."""

    path: str
    device: int
    """Two paths of one file system have the same."""
    bytes_used: float = 0.0
    inodes_used: float = 0.0
    bytes_free: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the file systems that matter. None for what is not to be seen from here, or does not answer."""

    docker: Fullness | None = None
    """That of Docker's root directory."""
    data: Fullness | None = None
    """That of our own data."""
    silent: tuple[str, ...] = ()
    """The paths that do not answer."""

    @property
    def all(self) -> tuple[Fullness, ...]:
        """Those that are known; of two on one file system, Docker's."""
        if self.docker is not None and self.data is not None and self.docker.device == self.data.device:
            return (self.docker,)
        return tuple(one for one in (self.docker, self.data) if one is not None)

    @property
    def gains(self) -> Fullness | None:
        """The one that has more room when images and containers go: our own, where Docker's is not to be seen.

        None while one does not answer.
        """
        return None if self.silent else self.docker or self.data


class Disks(Protocol):
    """The file systems that fill. Never waits long, and raises nothing."""

    async def look(self) -> Look:
        """How full they are."""
        ...


class Rows(Protocol):
    """The rows of tasks, as they are now."""

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        """The rows; not to be changed."""
        ...


class Shelf(Protocol):
    """Docker's images and containers. Methods raise TryAgain, GiveUp or OutcomeUnknown and nothing else."""

    def listed(self, image: Image) -> str:
        """The name under which Docker lists *image*; the image itself where it is no reference."""
        ...

    async def images(self) -> Sequence[HostImage]:
        """All images, but for those that only serve as layers of others."""
        ...

    async def containers(self) -> Sequence[HostContainer]:
        """All containers, those that do not run too, whoever made them."""
        ...

    async def finished_at(self, container: DockerId) -> datetime | None:
        """When an ended container ended; None if it never ran, or is gone."""
        ...

    async def remove_image(self, name: str) -> None:
        """Take a name, or an id, from an image; the last one takes the image. Never forced. Absent is success.

        Raises GiveUp where the image is in use.
        """
        ...

    async def remove_container(self, container: DockerId) -> None:
        """Remove a container that does not run. Absent is success."""
        ...


class Records(Protocol):
    """What is remembered of images, on disk. Methods raise OSError."""

    async def records(self) -> Sequence[Record]:
        """All records."""
        ...

    async def pulled(self) -> Sequence[Pulled]:
        """Every name that was fetched and not removed since."""
        ...

    async def keep(self, records: Sequence[Record]) -> None:
        """Write records, in place of older ones of the same images."""
        ...

    async def forget(self, ids: Collection[str], names: Collection[Image]) -> None:
        """Drop the records of images, and the fetched names."""
        ...
