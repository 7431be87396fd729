import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agent.docker.engine_driver import DEFAULT_HOST, DockerEngine
from agent.docker.image_driver import ImageDriver, PullBounds
from agent.model.errors import GiveUp, OutcomeUnknown, TryAgain
from agent.model.names import Image
from agent.model.task import ImageSource
from tests.docker.cutting_proxy import cutting_proxy
from tests.docker.making import NOWHERE, a_free_port
from tests.docker.registries import a_registry, a_stalling_registry
from tests.sample_image import client, remove_image

pytestmark = pytest.mark.docker


def ignore(digest: str) -> None:
    """Where nobody asks what a name means."""


@pytest.fixture(scope="module")
def registry(docker_host: str, sample_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that holds ``app:1``."""
    with a_registry(tmp_path_factory.mktemp("registry")) as address:
        asyncio.run(push(docker_host, sample_image, f"{address}/team/app:1"))
        yield address


@pytest.fixture
def app(docker_host: str, registry: str) -> Iterator[Image]:
    """An image that is in the registry and not on the host."""
    image = Image(f"{registry}/team/app:1")
    asyncio.run(remove_image(docker_host, image))
    yield image
    asyncio.run(remove_image(docker_host, image))


async def push(host: str, image: str, to: str) -> None:
    name, _, tag = to.rpartition(":")
    async with client(host) as docker:
        await docker.images.tag(image, name, tag=tag)
        await docker.images.push(name, tag=tag)
    await remove_image(host, to)


@asynccontextmanager
async def images(host: str = DEFAULT_HOST, **bounds: timedelta) -> AsyncIterator[ImageDriver]:
    async with DockerEngine.connect(host) as engine:
        yield ImageDriver(engine, bounds=PullBounds(**bounds))


def test_a_pulled_image_is_there_and_known_by_its_digest(app: Image, docker_host: str) -> None:
    async def story() -> None:
        async with images() as driver:
            assert not await driver.has(app)

            digest = await driver.pull(ImageSource(app), None, ignore)

            assert await driver.has(app)
            assert await driver.pull(ImageSource(app), None, ignore) == digest
            async with client(docker_host) as docker:
                known = (await docker.images.inspect(app))["RepoDigests"]
            assert f"{app.rpartition(':')[0]}@{digest}" in known

    asyncio.run(story())


def test_an_image_can_be_asked_for_by_digest(app: Image, docker_host: str) -> None:
    async def story() -> None:
        async with images() as driver:
            digest = await driver.pull(ImageSource(app), None, ignore)
            await remove_image(docker_host, app)
            exact = Image(f"{app.rpartition(':')[0]}@{digest}")
            try:
                assert await driver.pull(ImageSource(exact), None, ignore) == digest
                assert await driver.has(exact)
            finally:
                await remove_image(docker_host, exact)

    asyncio.run(story())


@pytest.mark.parametrize("missing", ["team/app:2", "team/nothing:1"])
def test_what_the_registry_does_not_have_is_given_up(registry: str, missing: str) -> None:
    async def story() -> None:
        async with images() as driver:
            with pytest.raises(GiveUp, match=r"not found|unknown|denied") as told:
                await driver.pull(ImageSource(Image(f"{registry}/{missing}")), None, ignore)
            assert told.value.name == "CannotPullContainerError"

    asyncio.run(story())


def test_a_registry_that_is_down_is_tried_again() -> None:
    async def story() -> None:
        async with images() as driver:
            with pytest.raises(TryAgain, match="refused") as told:
                await driver.pull(ImageSource(Image(f"127.0.0.1:{a_free_port()}/team/app:1")), None, ignore)
            assert told.value.name == "CannotPullContainerError"

    asyncio.run(story())


def test_cancelling_the_job_ends_the_pull() -> None:
    async def story() -> None:
        async with a_stalling_registry(drip=0.05) as stalling, images() as driver, asyncio.timeout(20):
            pull = asyncio.create_task(driver.pull(ImageSource(Image(f"{stalling.address}/team/app:1")), None, ignore))
            await stalling.begun.wait()

            pull.cancel()

            with pytest.raises(asyncio.CancelledError):
                await pull
            await stalling.left.wait()

    asyncio.run(story())


def test_a_pull_that_makes_no_progress_is_tried_again() -> None:
    async def story() -> None:
        bound = timedelta(seconds=0.5)
        async with a_stalling_registry() as stalling, images(inactivity=bound) as driver, asyncio.timeout(20):
            with pytest.raises(TryAgain, match="made no progress"):
                await driver.pull(ImageSource(Image(f"{stalling.address}/team/app:1")), None, ignore)

    asyncio.run(story())


def test_a_pull_that_takes_too_long_is_given_up() -> None:
    async def story() -> None:
        bound = timedelta(seconds=0.5)
        async with a_stalling_registry(drip=0.05) as stalling, images(whole=bound) as driver, asyncio.timeout(20):
            with pytest.raises(GiveUp) as told:
                await driver.pull(ImageSource(Image(f"{stalling.address}/team/app:1")), None, ignore)
            assert told.value.name == "DockerTimeoutError"
            await stalling.left.wait()

    asyncio.run(story())


def test_a_lost_answer_leaves_the_outcome_of_a_pull_unknown(docker_host: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            a_stalling_registry() as stalling,
            cutting_proxy(docker_host, tmp_path) as proxy,
            images(proxy.host) as driver,
            asyncio.timeout(20),
        ):
            pull = asyncio.create_task(driver.pull(ImageSource(Image(f"{stalling.address}/team/app:1")), None, ignore))
            await stalling.begun.wait()

            proxy.cut()

            with pytest.raises(OutcomeUnknown):
                await pull

    asyncio.run(story())


def test_without_docker_nothing_is_known_of_images() -> None:
    async def story() -> None:
        async with images(NOWHERE) as driver:
            with pytest.raises(TryAgain):
                await driver.has(Image("busybox:1"))
            with pytest.raises(OutcomeUnknown):
                await driver.pull(ImageSource(Image("busybox:1")), None, ignore)

    asyncio.run(story())


def test_a_reference_that_is_none_never_reaches_docker() -> None:
    async def story() -> None:
        async with images(NOWHERE) as driver:
            odd = Image("app/../../containers/json?")
            for asked in (driver.has(odd), driver.pull(ImageSource(odd), None, ignore)):
                with pytest.raises(GiveUp, match="invalid reference format"):
                    await asked

    asyncio.run(story())
