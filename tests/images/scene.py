"""A host in memory: its images and containers, what is remembered of them, and time that a test turns."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from agent.images.decisions import CleanupRules
from agent.images.loop import Cleaner
from agent.images.ports import HostContainer, HostImage, Pulled, Record
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import DockerId, Image

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG_AGO = T0 - timedelta(days=9)


def hours(count: float) -> datetime:
    return T0 + timedelta(hours=count)


def image(key: str, *names: str, size: int = 1, created: datetime = LONG_AGO) -> HostImage:
    """An image whose id is *key*; names with an @ are digests."""
    tags = tuple(name for name in names if "@" not in name)
    return HostImage(key, tags, tuple(name for name in names if "@" in name), created, size)


def container(image_id: str, *, of_ecs: bool = True, ended: bool = False, name: str = "c") -> HostContainer:
    return HostContainer(DockerId(name), image_id, of_ecs, ended, LONG_AGO)


class Host:
    """Fulfils `Shelf` and `Records`, and counts what was asked of it."""

    def __init__(self, *images: HostImage, rules: CleanupRules | None = None) -> None:
        self.now = T0
        self.shown = {one.id: one for one in images}
        self.running: list[HostContainer] = []
        self.finished: dict[DockerId, datetime] = {}
        self.kept: dict[str, Record] = {}
        self.fetched: dict[Image, datetime] = {}
        self.wanted: set[Image] = set()
        self.pulling: set[Image] = set()
        self.busy: set[str] = set()
        self.is_down = False
        self.removed: list[str] = []
        self.cleaner = Cleaner(
            self,
            self,
            rules or CleanupRules(),
            clock=lambda: self.now,
            wanted=lambda: self.wanted,
            pulling=lambda: self.pulling,
        )

    def fetch(self, name: str, key: str) -> None:
        """A task's pull brings the image *key* under *name*; whatever had the name has it no more."""
        for other in list(self.shown.values()):
            tags = tuple(tag for tag in other.tags if tag != name)
            self.shown[other.id] = HostImage(other.id, tags, other.digests, other.created, other.size)
        old = self.shown.get(key, image(key))
        digest = f"{name.rpartition(':')[0]}@sha256:{key}"
        self.shown[key] = HostImage(key, (*old.tags, name), (*old.digests, digest), old.created, old.size)
        self.fetched[Image(name)] = self.fetched[Image(digest)] = self.now

    def listed(self, image: Image) -> str:
        return image.removeprefix("docker.io/")

    async def images(self) -> Sequence[HostImage]:
        if self.is_down:
            raise TryAgain("Docker is down")
        return list(self.shown.values())

    async def containers(self) -> Sequence[HostContainer]:
        return self.running

    async def finished_at(self, container: DockerId) -> datetime | None:
        return self.finished.get(container)

    async def remove_image(self, name: str) -> None:
        if name in self.busy:
            raise GiveUp("CannotRemoveImageError", "it is in use")
        self.removed.append(name)
        for one in list(self.shown.values()):
            if name not in (one.id, *one.tags, *one.digests):
                continue
            tags = tuple(tag for tag in one.tags if tag != name)
            gone = {name} if tags else {name, *one.digests} if name in one.tags else {name}
            digests = tuple(digest for digest in one.digests if digest not in gone)
            self.shown[one.id] = HostImage(one.id, tags, digests, one.created, one.size)
            if name == one.id or not (tags or digests):
                del self.shown[one.id]

    async def remove_container(self, container: DockerId) -> None:
        if container in self.busy:
            raise GiveUp("CannotRemoveContainerError", "it runs")
        self.removed.append(container)

    async def records(self) -> Sequence[Record]:
        return list(self.kept.values())

    async def pulled(self) -> Sequence[Pulled]:
        return [Pulled(one, at) for one, at in self.fetched.items()]

    async def keep(self, records: Sequence[Record]) -> None:
        self.kept |= {record.id: record for record in records}

    async def forget(self, ids: Collection[str], names: Collection[Image]) -> None:
        for key in ids:
            self.kept.pop(key, None)
        for name in names:
            self.fetched.pop(name, None)
