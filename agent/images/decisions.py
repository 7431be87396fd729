"""Which images go. Plain values in, plain values out.

An image that a container uses, that a task still names, or that is being pulled never goes. What Docker itself refuses
to remove is not asked for by force, so a mistake here costs a refused call and no image.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.images.ports import HostContainer, HostImage, Record

AMAZONS_AGENT = "amazon/amazon-ecs-agent:latest"


@dataclass(frozen=True, slots=True)
class CleanupRules:
    """What the operator allows."""

    age: timedelta = timedelta(hours=1)
    """How long an image is kept after its first pull, at least."""
    images: int = 5
    """How many may go in one round."""
    excluded: frozenset[str] = frozenset()
    """Names that never go, as Docker lists them."""
    untracked: bool = False
    """May images and containers go that no task has used?"""
    untracked_age: timedelta = timedelta(hours=1)
    containers: int = 5
    container_age: timedelta = timedelta(hours=3)
    stay: bool = False
    """Does every image stay, even while the disk fills?"""
    fetched_only: bool = False
    """While the disk fills, do only those go that were fetched here, and can be again?"""


@dataclass(frozen=True, slots=True)
class Claims:
    """What may not go because of what is going on. Names are those under which Docker lists images."""

    wanted: frozenset[str] = frozenset()
    """Those that tasks still hold."""
    pulling: frozenset[str] = frozenset()
    """Those that are being pulled: Docker may show such an image before it has its tag."""

    def hold(self, names: Collection[str], image_id: str) -> bool:
        """Is the image with these *names* and this id spoken for? A task may name it by its id alone."""
        if not self.wanted.isdisjoint((image_id, image_id.removeprefix("sha256:"))):
            return True
        if not self.wanted.isdisjoint(names) or not self.pulling.isdisjoint(names):
            return True
        repositories = {_repository(name) for name in self.pulling}
        return not any(_is_tag(name) for name in names) and any(_repository(name) in repositories for name in names)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is to know at one moment."""

    now: datetime
    images: tuple[HostImage, ...] = ()
    containers: tuple[HostContainer, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    """By the id of the image."""
    pulled: Mapping[str, datetime] = field(default_factory=dict)
    """Names that were fetched for tasks, and when they last were."""
    claims: Claims = field(default_factory=Claims)

    @property
    def in_use(self) -> frozenset[str]:
        """The ids of images that a container uses, running or not."""
        return frozenset(one.image_id for one in self.containers)


@dataclass(frozen=True, slots=True)
class Going:
    """An image that goes: all its names, and those to take from it (its id where it has none)."""

    id: str
    names: tuple[str, ...]
    taken: tuple[str, ...]


def observed(scene: Scene, dropped: Mapping[str, datetime]) -> tuple[Record, ...]:
    """The records that this look adds or changes. *dropped* says when a task that held a name was last cleaned up."""
    made = (
        _record(scene, image, dropped)
        for image in scene.images
        if image.id in scene.records or _asked_for(scene, image, dropped)
    )
    return tuple(record for record in made if record != scene.records.get(record.id))


def _asked_for(scene: Scene, image: HostImage, dropped: Mapping[str, datetime]) -> tuple[str, ...]:
    return tuple(
        name
        for name in image.tags + image.digests
        if name in scene.pulled or name in scene.claims.wanted or name in dropped
    )


def _record(scene: Scene, image: HostImage, dropped: Mapping[str, datetime]) -> Record:
    names = _asked_for(scene, image, dropped)
    old = scene.records.get(image.id)
    fetched = (scene.pulled[name] for name in names if name in scene.pulled)
    pulled_at = old.pulled_at if old else max(fetched, default=scene.now)
    uses = [old.used_at if old else pulled_at, *(dropped[name] for name in names if name in dropped)]
    if image.id in scene.in_use or not scene.claims.wanted.isdisjoint(names):
        uses.append(scene.now)
    all_names = dict.fromkeys((*(old.names if old else ()), *names))
    return Record(image.id, tuple(all_names), pulled_at, max(uses))


def going(scene: Scene, rules: CleanupRules) -> tuple[Going, ...]:
    """The images of tasks that go now, the one that was unused for the longest time first."""
    old = []
    for image in scene.images:
        record = scene.records.get(image.id)
        if record and scene.now - record.pulled_at >= rules.age and is_free(scene, rules, image):
            taken = names_to_take(image, frozenset(record.names))
            if taken:
                old.append((record.used_at, Going(image.id, image.tags + image.digests, taken)))
    old.sort(key=lambda pair: (pair[0], pair[1].id))
    return tuple(one for _, one in old[: rules.images])


def untracked_going(scene: Scene, rules: CleanupRules, left: int) -> tuple[Going, ...]:
    """The images of nobody's that go now, at most *left*, the smallest first."""
    if not rules.untracked:
        return ()
    old = [
        image
        for image in scene.images
        if image.id not in scene.records
        and image.created is not None
        and scene.now - image.created >= rules.untracked_age
        and is_free(scene, rules, image)
    ]
    old.sort(key=lambda image: (image.size, image.id))
    return tuple(
        Going(image.id, image.tags + image.digests, image.tags or image.digests or (image.id,))
        for image in old[: max(0, left)]
    )


def pressed(scene: Scene, rules: CleanupRules) -> tuple[Going, ...]:
    """The images that go, one after the other, while the disk is too full: neither age nor number counts.

    Those of nobody's come last, keep their age, and go only where the operator lets them go at all.
    """
    if rules.stay:
        return ()
    old = []
    for image in scene.images:
        record = scene.records.get(image.id)
        if record is None or not is_free(scene, rules, image):
            continue
        was_fetched = any(name in scene.pulled for name in image.tags + image.digests)
        taken = names_to_take(image, frozenset(record.names))
        if taken and (was_fetched or not rules.fetched_only):
            old.append((record.used_at, Going(image.id, image.tags + image.digests, taken)))
    old.sort(key=lambda pair: (pair[0], pair[1].id))
    return (*(one for _, one in old), *untracked_going(scene, rules, len(scene.images)))


def ended_containers(scene: Scene, rules: CleanupRules) -> Iterator[HostContainer]:
    """Containers of nobody's that may have ended long enough ago; Docker must be asked when they did."""
    for one in scene.containers if rules.untracked else ():
        may_be_old = one.created is not None and scene.now - one.created >= rules.container_age
        if one.ended and not one.is_of_ecs and may_be_old:
            yield one


def is_over(container: HostContainer, finished: datetime | None, now: datetime, rules: CleanupRules) -> bool:
    """Has it ended long enough ago? One that never ran counts from its creation."""
    since = finished or container.created
    return since is not None and now - since >= rules.container_age


def stale(scene: Scene, rules: CleanupRules) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of records, and fetched names, whose images somebody else has removed.

    A young name may be that of a pull that ended after the images were listed.
    """
    ids = {image.id for image in scene.images}
    names = {name for image in scene.images for name in image.tags + image.digests}
    lost = (name for name, at in scene.pulled.items() if name not in names and scene.now - at >= rules.age)
    return tuple(sorted(scene.records.keys() - ids)), tuple(sorted(lost))


def is_free(scene: Scene, rules: CleanupRules, image: HostImage) -> bool:
    """May it go, as far as names, tasks, pulls and containers say?"""
    names = image.tags + image.digests
    return image.id not in scene.in_use and rules.excluded.isdisjoint(names) and not scene.claims.hold(names, image.id)


def names_to_take(image: HostImage, known: frozenset[str]) -> tuple[str, ...]:
    """The names by which tasks knew it: a name that somebody else gave it stays, and the image with it.

    Docker drops the digests of a repository together with its last tag. An image whose tag went on to another one has
    its digests only.
    """
    tags = tuple(tag for tag in image.tags if tag in known)
    digests = tuple(digest for digest in image.digests if digest in known)
    if image.tags or image.digests:
        return tags or digests
    return (image.id,)


def _is_tag(name: str) -> bool:
    return "@" not in name


def _repository(name: str) -> str:
    return name.rpartition(":")[0] if _is_tag(name) else name.partition("@")[0]
