"""The cleanup on a real engine, with its own memory on a real disk."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from agent.docker.engine_driver import DockerEngine
from agent.docker.image_driver import ImageDriver
from agent.docker.pull_progress import PullProgress
from agent.docker.shelf_driver import ShelfDriver
from agent.images.decisions import CleanupRules
from agent.images.loop import Cleaner
from agent.model.acts import PullImage
from agent.model.clock import utc_now
from agent.model.errors import GiveUp, TryAgain
from agent.model.events import ImagePulled
from agent.model.names import DockerId, Image
from agent.model.task import ImageSource
from agent.runner.pulling import Pulling
from agent.store.images_driver import ImageMemory
from agent.store.journal_driver import Journal
from tests.docker.making import NOWHERE
from tests.docker.registries import a_registry, a_stalling_registry, push
from tests.sample_image import client, remove_image

pytestmark = pytest.mark.docker

LATER = timedelta(hours=2)


@pytest.fixture(scope="module")
def registry(docker_host: str, sample_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with images that differ: ``old``, ``used``, ``kept`` and ``late``."""
    with a_registry(tmp_path_factory.mktemp("registry")) as address:
        for name in ("old", "used", "kept", "late"):
            asyncio.run(push_marked(docker_host, sample_image, f"{address}/team/{name}:1"))
        yield address
        for name in ("old", "used", "kept", "late"):
            asyncio.run(remove_image(docker_host, f"{address}/team/{name}:1"))


async def push_marked(host: str, image: Image, to: str) -> None:
    mark = secrets.token_hex(4)
    async with client(host) as docker:
        made = await docker.containers.create({"Image": image, "Cmd": ["true"]})
        await made.commit(repository="dockworker.invalid/marked", tag=mark, changes=f"ENV MARK={mark}")
        await made.delete(force=True)
    await push(host, f"dockworker.invalid/marked:{mark}", to)
    await remove_image(host, f"dockworker.invalid/marked:{mark}")


@dataclass(frozen=True, slots=True)
class Place:
    """A host's images, and what the agent knows of them."""

    shelf: ShelfDriver
    memory: ImageMemory
    images: ImageDriver
    progress: PullProgress

    async def pull(self, image: Image) -> None:
        """Have a task's pull bring *image*."""
        pulling = Pulling(self.images, self.memory, clock=utc_now, tell=lambda _: None)

        async def fetch(source: ImageSource) -> ImagePulled:
            return ImagePulled(source, utc_now(), await self.images.pull(source, None, lambda _: None))

        await pulling.pull(PullImage(ImageSource(image)), fetch)

    def cleaner(self, *excluded: str) -> Cleaner:
        """A cleaner to whom two hours have passed."""
        return Cleaner(
            self.shelf,
            self.memory,
            CleanupRules(excluded=frozenset(excluded)),
            clock=lambda: utc_now() + LATER,
            wanted=frozenset,
            pulling=self.progress.images,
        )


@asynccontextmanager
async def a_place(folder: Path) -> AsyncIterator[Place]:
    async with DockerEngine.connect() as engine, Journal.open(folder / "agent.db") as journal, asyncio.timeout(30):
        progress = PullProgress()
        yield Place(ShelfDriver(engine), journal.images, ImageDriver(engine, progress=progress), progress)


def test_an_old_unused_image_goes_and_used_and_excluded_ones_stay(
    registry: str, docker_host: str, tmp_path: Path
) -> None:
    old, used, kept = (Image(f"{registry}/team/{name}:1") for name in ("old", "used", "kept"))

    async def story() -> None:
        async with a_place(tmp_path) as place, client(docker_host) as docker:
            for image in (old, used, kept):
                await place.pull(image)
            user = await docker.containers.create({"Image": used, "Cmd": ["true"]})
            try:
                await place.cleaner(kept).clean()

                assert [await place.images.has(image) for image in (old, used, kept)] == [False, True, True]
                assert not await place.memory.has_pulled(old)
                assert await place.memory.has_pulled(used)
            finally:
                await user.delete(force=True)
            await place.cleaner().clean()
            assert [await place.images.has(image) for image in (used, kept)] == [False, False]
            assert [record for record in await place.memory.records() if registry in str(record.names)] == []

    asyncio.run(story())


def test_a_cleanup_and_the_pulls_that_go_on_do_not_wait_for_each_other(
    registry: str, docker_host: str, tmp_path: Path
) -> None:
    old, late = (Image(f"{registry}/team/{name}:1") for name in ("old", "late"))

    async def story() -> None:
        async with a_place(tmp_path) as place, a_stalling_registry(drip=0.05) as stalling:
            await place.pull(old)
            stuck = asyncio.create_task(place.pull(Image(f"{stalling.address}/team/app:1")))
            await stalling.begun.wait()

            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(place.cleaner(late).clean())
                jobs.create_task(place.pull(late))

            assert not stuck.done()
            assert [await place.images.has(image) for image in (old, late)] == [False, True]
            stuck.cancel()
            await asyncio.wait([stuck])
            await stalling.left.wait()
            await remove_image(docker_host, late)

    asyncio.run(story())


def test_the_shelf_shows_whose_containers_there_are_and_when_they_ended(docker_host: str, sample_image: Image) -> None:
    async def story() -> None:
        async with DockerEngine.connect() as engine, client(docker_host) as docker:
            shelf = ShelfDriver(engine)
            image = next(one for one in await shelf.images() if sample_image in one.tags)
            labels = {"com.amazonaws.ecs.task-arn": "arn:of:a:task"}
            ours = await docker.containers.create({"Image": sample_image, "Cmd": ["sleep", "60"], "Labels": labels})
            theirs = await docker.containers.create({"Image": sample_image, "Cmd": ["true"]})
            try:
                assert await shelf.finished_at(DockerId(theirs.id)) is None
                await ours.start()
                await theirs.start()
                await theirs.wait()
                shown = {one.id: one for one in await shelf.containers()}
                mine, other = shown[DockerId(ours.id)], shown[DockerId(theirs.id)]
                assert (mine.image_id, mine.is_of_ecs, mine.ended) == (image.id, True, False)
                assert (other.image_id, other.is_of_ecs, other.ended) == (image.id, False, True)
                finished = await shelf.finished_at(other.id)
                assert finished is not None
                assert abs(utc_now() - finished) < timedelta(minutes=1)
                with pytest.raises(GiveUp, match="being used"):
                    await shelf.remove_image(image.id)
                with pytest.raises(GiveUp):
                    await shelf.remove_container(mine.id)
                await shelf.remove_container(other.id)
                await shelf.remove_container(other.id)
                assert await shelf.finished_at(other.id) is None
            finally:
                await ours.delete(force=True)
                await shelf.remove_container(DockerId(theirs.id))

    asyncio.run(story())


def test_without_docker_the_shelf_cannot_be_seen() -> None:
    async def story() -> None:
        async with DockerEngine.connect(NOWHERE) as engine:
            shelf = ShelfDriver(engine)
            for asked in (shelf.images(), shelf.containers(), shelf.finished_at(DockerId("a"))):
                with pytest.raises(TryAgain):
                    await asked

    asyncio.run(story())


def test_an_image_that_is_not_there_is_removed_already(docker_host: str) -> None:
    async def story() -> None:
        async with DockerEngine.connect(docker_host) as engine:
            await ShelfDriver(engine).remove_image("dockworker.invalid/never:1")
            assert ShelfDriver(engine).listed(Image("docker.io/busybox")) == "busybox:latest"
            assert ShelfDriver(engine).listed(Image("NOT a name")) == "NOT a name"

    asyncio.run(story())
