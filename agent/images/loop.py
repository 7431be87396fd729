"""Images without tasks: those to be fetched before the first task, and those that nobody uses any more.

Nothing here keeps a pull waiting, and no lock is held. Before an image goes, its fetched names are forgotten, so that
whoever asks for it from then on fetches it again, and what is claimed is looked at once more.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from agent.images.decisions import (
    Claims,
    CleanupRules,
    Going,
    Scene,
    ended_containers,
    going,
    is_over,
    observed,
    pressed,
    stale,
    untracked_going,
)
from agent.images.ports import Pulled, Records, Shelf
from agent.images.prepull import wait_after
from agent.model.clock import Clock
from agent.model.errors import AgentError, GiveUp
from agent.model.names import Image

log = structlog.get_logger()

FETCHES_AT_ONCE = 3

Pause = Callable[[float], Awaitable[None]]
Fetch = Callable[[Image], Awaitable[None]]
"""Brings an image to the host. Raises AgentError."""


@dataclass(slots=True)
class Gone:
    """What went, and how many images could have gone besides."""

    images: int = 0
    containers: int = 0
    images_left: int = 0


@dataclass(slots=True)
class Collected:
    """What has gone since the agent began. Layers that images share count for each of them."""

    images: int = 0
    containers: int = 0
    bytes: int = 0


class Cleaner:
    """Removes what is old and unused. `wanted` gives the images that tasks hold, `pulling` those on their way here."""

    def __init__(
        self,
        shelf: Shelf,
        records: Records,
        rules: CleanupRules,
        *,
        clock: Clock,
        wanted: Callable[[], Collection[Image]],
        pulling: Callable[[], Collection[Image]],
    ) -> None:
        self._shelf = shelf
        self._records = records
        self._rules = rules
        self._clock = clock
        self._wanted = wanted
        self._pulling = pulling
        self._dropped: dict[str, datetime] = {}
        self._sizes: dict[str, int] = {}
        self.collected = Collected()

    def dropped(self, images: Mapping[Image, datetime | None]) -> None:
        """Hear that tasks were cleaned up that held *images*, and used them until they stopped."""
        now = self._clock()
        for image, until in images.items():
            name = self._shelf.listed(image)
            self._dropped[name] = max(self._dropped.get(name, until or now), until or now)

    async def look(self) -> None:
        """Write down which images tasks use. Raises AgentError, or OSError where nothing can be written."""
        await self._seen()

    async def clean(self) -> None:
        """One round. Raises AgentError, or OSError where nothing can be written."""
        scene = await self._seen()
        await self._remove_containers(scene, self._rules.containers)
        chosen = going(scene, self._rules)
        left = self._rules.images - len(chosen)
        gone = 0
        for one in (*chosen, *untracked_going(scene, self._rules, left)):
            gone += await self._remove(one)
        if gone:
            log.info("images_removed", count=gone)

    async def make_room(self, has_room: Callable[[], Awaitable[bool]], most: int) -> Gone:
        """Remove at most *most* images, whatever their age, until there is room. Raises AgentError.

        A disk on which nothing can be written any more is the best of reasons to go on.
        """
        scene = await self._seen(must_write=False)
        gone = Gone(containers=await self._remove_containers(scene, len(scene.containers)))
        chosen = pressed(scene, self._rules)
        for tried, one in enumerate(chosen):
            gone.images_left = len(chosen) - tried
            if gone.images == most or await has_room():
                return gone
            gone.images += await self._remove(one, must_write=False)
        gone.images_left = 0
        return gone

    async def _seen(self, *, must_write: bool = True) -> Scene:
        """The scene with its records brought up to date, on the disk too."""
        dropped = dict(self._dropped)
        scene = await self._scene()
        changed = observed(scene, dropped)
        ids, names = stale(scene, self._rules)
        async with _writing(must_write=must_write):
            if changed:
                await self._records.keep(changed)
            if ids or names:
                await self._records.forget(ids, await self._spellings(names))
        for name, at in dropped.items():
            if self._dropped.get(name) == at:
                del self._dropped[name]
        records = {key: record for key, record in scene.records.items() if key not in ids}
        return Scene(
            scene.now,
            scene.images,
            scene.containers,
            records | {record.id: record for record in changed},
            scene.pulled,
            scene.claims,
        )

    async def _scene(self) -> Scene:
        images, containers = await self._shelf.images(), await self._shelf.containers()
        self._sizes = {image.id: image.size for image in images}
        return Scene(
            now=self._clock(),
            images=tuple(images),
            containers=tuple(containers),
            records={record.id: record for record in await self._records.records()},
            pulled=self._latest(await self._records.pulled()),
            claims=self._claims(),
        )

    def _latest(self, pulled: Sequence[Pulled]) -> dict[str, datetime]:
        latest: dict[str, datetime] = {}
        for one in sorted(pulled, key=lambda one: one.at):
            latest[self._shelf.listed(one.image)] = one.at
        return latest

    def _claims(self) -> Claims:
        listed = self._shelf.listed
        return Claims(frozenset(map(listed, self._wanted())), frozenset(map(listed, self._pulling())))

    async def _spellings(self, names: Collection[str]) -> tuple[Image, ...]:
        """Every way in which tasks have written these names."""
        return tuple(one.image for one in await self._records.pulled() if self._shelf.listed(one.image) in set(names))

    async def _remove(self, one: Going, *, must_write: bool = True) -> bool:
        async with _writing(must_write=must_write):
            await self._records.forget((), await self._spellings(one.names))
        if self._claims().hold(one.names, one.id):
            return False
        try:
            for name in one.taken:
                await self._shelf.remove_image(name)
        except GiveUp as error:  # somebody uses it since the look, or it is below another one
            log.info("image_kept", image=one.id, names=one.names, reason=str(error))
            return False
        async with _writing(must_write=must_write):
            await self._records.forget((one.id,), ())
        log.info("image_removed", image=one.id, names=one.taken)
        self.collected.images += 1
        self.collected.bytes += self._sizes.get(one.id, 0)
        return True

    async def _remove_containers(self, scene: Scene, most: int) -> int:
        removed = 0
        for one in ended_containers(scene, self._rules):
            if removed == most:
                break
            try:
                if is_over(one, await self._shelf.finished_at(one.id), scene.now, self._rules):
                    await self._shelf.remove_container(one.id)
                    removed += 1
                    self.collected.containers += 1
            except GiveUp as error:
                log.info("container_kept", container=one.id, reason=str(error))
        return removed


@asynccontextmanager
async def _writing(*, must_write: bool) -> AsyncIterator[None]:
    """What is remembered of images is written here. It may be lost where they have to go: that costs another pull."""
    try:
        yield
    except OSError as error:
        if must_write:
            raise
        log.warning("image_records_not_written", error=str(error))


class ImagesLoop:
    """Fetches what is to be here before the first task, and cleans up every *interval*; None never does."""

    def __init__(
        self,
        fetch: Fetch,
        cleaner: Cleaner,
        *,
        prepull: Collection[Image],
        interval: timedelta | None,
        pause: Pause,
    ) -> None:
        self._fetch = fetch
        self._cleaner = cleaner
        self._prepull = prepull
        self._interval = interval
        self._pause = pause
        self._turns = asyncio.Semaphore(FETCHES_AT_ONCE)

    async def run(self) -> None:
        """Run for ever, or until there is nothing more to do."""
        async with asyncio.TaskGroup() as jobs:
            for image in self._prepull:
                jobs.create_task(self._bring(image), name=f"prepull-{image}")
            if self._interval is not None:
                jobs.create_task(self._clean_for_ever(self._interval), name="image-cleanup")

    async def _bring(self, image: Image) -> None:
        failures = 0
        while True:
            try:
                async with self._turns:
                    await self._fetch(image)
            except AgentError as error:
                failures += 1
                if failures == 1:
                    log.warning("prepull_failed", image=image, error=_said(error), next_try_in=wait_after(failures))
            else:
                log.info("prepulled", image=image, failures=failures)
                return
            await self._pause(wait_after(failures))

    async def _clean_for_ever(self, interval: timedelta) -> None:
        await self._once(self._cleaner.look)
        while True:
            await self._pause(interval.total_seconds())
            await self._once(self._cleaner.clean)

    async def _once(self, step: Callable[[], Awaitable[None]]) -> None:
        """A round that fails is no harm: the next one comes."""
        try:
            await step()
        except (AgentError, OSError) as error:
            log.warning("image_cleanup_failed", error=_said(error))


def _said(error: Exception) -> str:
    return error.reason if isinstance(error, GiveUp) else str(error)
