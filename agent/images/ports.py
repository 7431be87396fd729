"""What the images loop needs of the world: Docker's images and containers, and a place to write down their use."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.model.names import DockerId, Image


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
