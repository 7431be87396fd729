import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agent.docker import references, registry_logins
from agent.docker.engine_driver import DEFAULT_HOST, DockerEngine
from agent.docker.image_driver import ImageDriver, PullBounds
from agent.docker.pull_progress import Progress, PullProgress
from agent.docker.registry_logins import RegistryLogins
from agent.model.credentials import RegistryLogin
from agent.model.errors import GiveUp, OutcomeUnknown, TryAgain
from agent.model.names import Image
from agent.model.task import ImageSource
from tests.docker.counting_front import a_front
from tests.docker.cutting_proxy import cutting_proxy
from tests.docker.making import NOWHERE, a_free_port
from tests.docker.registries import MANIFEST_DIGEST, PASSWORD, USER, a_registry, a_stalling_registry, push
from tests.engine.rows import T0
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


@pytest.fixture(scope="module")
def locked(docker_host: str, sample_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """An image in a registry that asks for a password; not on the host."""
    with a_registry(tmp_path_factory.mktemp("locked"), locked=True) as address:
        image = Image(f"{address}/team/secret:1")
        asyncio.run(push(docker_host, sample_image, image, {"username": USER, "password": PASSWORD}))
        yield image
        asyncio.run(remove_image(docker_host, image))


@asynccontextmanager
async def images(host: str = DEFAULT_HOST, **bounds: timedelta) -> AsyncIterator[ImageDriver]:
    async with DockerEngine.connect(host) as engine:
        yield ImageDriver(engine, bounds=PullBounds(**bounds))


def logins(image: Image, user: str = USER, password: str = PASSWORD) -> RegistryLogins:
    return registry_logins.read("docker", {references.read(image).host: {"username": user, "password": password}})


@asynccontextmanager
async def images_of(engine_settings: RegistryLogins) -> AsyncIterator[ImageDriver]:
    async with DockerEngine.connect() as engine:
        yield ImageDriver(engine, logins=engine_settings)


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


def test_what_is_told_is_what_runs_even_where_the_tag_moves_on(
    app: Image, docker_host: str, sample_image: Image
) -> None:
    async def story() -> None:
        told: list[str] = []
        async with images() as driver:
            first = await driver.pull(ImageSource(app), None, told.append)
            other = await another_image(docker_host, sample_image)
            try:
                await push(docker_host, other, app)
                second = await driver.pull(ImageSource(app), None, told.append)
                assert await driver.digest(app) == second
                assert await driver.has(Image(f"{app.rpartition(':')[0]}@{first}"))
            finally:
                for digest in told:
                    await remove_image(docker_host, f"{app.rpartition(':')[0]}@{digest}")
                await remove_image(docker_host, app)
                await remove_image(docker_host, other)
                await push(docker_host, sample_image, app)
        assert told == [first, second]
        assert first != second

    asyncio.run(story())


def test_what_is_told_is_what_runs_even_where_the_tag_moves_during_the_pull(
    app: Image, docker_host: str, sample_image: Image
) -> None:
    async def story() -> None:
        other = await another_image(docker_host, sample_image)
        told: list[str] = []

        def move(digest: str) -> None:
            told.append(digest)
            mover = threading.Thread(target=lambda: asyncio.run(push(docker_host, other, app)))
            mover.start()
            mover.join()

        async with images() as driver:
            try:
                digest = await driver.pull(ImageSource(app), None, move)
                assert told == [digest]
                assert await driver.digest(app) == digest
            finally:
                await remove_image(docker_host, app)
                await remove_image(docker_host, other)
                await push(docker_host, sample_image, app)

    asyncio.run(story())


async def another_image(host: str, image: Image) -> str:
    """An image that differs from *image* in its configuration alone."""
    async with client(host) as docker:
        made = await docker.containers.create({"Image": image, "Cmd": ["true"]})
        try:
            await made.commit(repository="dockworker.invalid/other", tag="1", changes="ENV MARK=2")
        finally:
            await made.delete(force=True)
    return "dockworker.invalid/other:1"


def test_the_digest_is_told_while_the_layers_are_still_on_their_way() -> None:
    async def story() -> None:
        told: list[str] = []
        async with a_stalling_registry(drip=0.05) as stalling, images() as driver, asyncio.timeout(20):
            pull = asyncio.create_task(
                driver.pull(ImageSource(Image(f"{stalling.address}/team/app:1")), None, told.append)
            )
            await stalling.begun.wait()

            assert told == [MANIFEST_DIGEST]

            pull.cancel()
            await asyncio.wait([pull])
            await stalling.left.wait()

    asyncio.run(story())


def test_how_far_a_pull_has_come_can_be_seen_while_it_goes_on() -> None:
    async def story() -> None:
        progress = PullProgress(lambda: T0)
        async with a_stalling_registry(drip=0.01) as stalling, DockerEngine.connect() as engine, asyncio.timeout(20):
            image = Image(f"{stalling.address}/team/app:1")
            assert progress.snapshot() == {}
            pull = asyncio.create_task(ImageDriver(engine, progress=progress).pull(ImageSource(image), None, ignore))
            await stalling.begun.wait()
            while not (seen := progress.snapshot()[image]).layers:
                await asyncio.wait([pull], timeout=0.01)

            assert seen == Progress(T0, 0, 1, seen.bytes_done, seen.bytes_total)
            assert progress.images() == {image}

            pull.cancel()
            await asyncio.wait([pull])
            assert progress.snapshot() == {}
            await stalling.left.wait()

    asyncio.run(story())


def test_pulls_of_different_images_go_side_by_side(app: Image) -> None:
    async def story() -> None:
        async with a_stalling_registry(drip=0.05) as stalling, images() as driver, asyncio.timeout(20):
            stuck = asyncio.create_task(driver.pull(ImageSource(Image(f"{stalling.address}/team/app:1")), None, ignore))
            await stalling.begun.wait()

            assert await driver.pull(ImageSource(app), None, ignore)

            assert not stuck.done()
            stuck.cancel()
            await asyncio.wait([stuck])
            await stalling.left.wait()

    asyncio.run(story())


def test_the_hosts_login_opens_a_registry(locked: Image) -> None:
    async def story() -> None:
        told: list[str] = []
        async with images_of(logins(locked)) as driver:
            digest = await driver.pull(ImageSource(locked), None, told.append)
            assert told == [digest]
            assert await driver.has(locked)

    asyncio.run(story())


def test_a_login_that_comes_with_the_pull_wins_over_the_hosts(locked: Image) -> None:
    async def story() -> None:
        async with images_of(logins(locked, password="wrong")) as driver:
            assert await driver.pull(ImageSource(locked), RegistryLogin(USER, PASSWORD), ignore)

    asyncio.run(story())


@pytest.mark.parametrize("given", [True, False])
def test_a_wrong_or_missing_login_is_given_up_and_the_password_is_not_told(locked: Image, given: bool) -> None:  # noqa: FBT001 -- a case
    async def story() -> None:
        async with images_of(logins(locked, password="wrong-password") if given else RegistryLogins()) as driver:
            with pytest.raises(GiveUp, match="Check the login for this registry") as told:
                await driver.pull(ImageSource(locked), None, ignore)
            assert told.value.name == "CannotPullContainerError"
            assert "wrong-password" not in str(told.value)

    asyncio.run(story())


def test_where_nothing_but_the_registrys_answer_will_do_a_pull_fails_for_the_missing_digest(registry: str) -> None:
    async def story() -> None:
        async with DockerEngine.connect() as engine:
            with pytest.raises(GiveUp) as told:
                await ImageDriver(engine, strict=True).pull(ImageSource(Image(f"{registry}/team/no:1")), None, ignore)
            assert told.value.name == "CannotPullImageManifestError"

    asyncio.run(story())


def test_a_registry_that_cannot_tell_digests_is_asked_once_and_then_pulled_from_by_tag(
    app: Image, docker_host: str
) -> None:
    async def story() -> None:
        async with a_front(docker_host, dumb=True) as front, images(front.host) as driver:
            told: list[str] = []
            for _ in range(3):
                assert (await driver.pull(ImageSource(app), None, told.append)).startswith("sha256:")
            assert (front.asked, front.pulls) == (1, 3)
            assert told == []

    asyncio.run(story())


def test_what_the_tag_means_here_already_is_not_fetched_again(app: Image, docker_host: str) -> None:
    async def story() -> None:
        async with a_front(docker_host, dumb=False) as front, images(front.host) as driver:
            told: list[str] = []
            digests = {await driver.pull(ImageSource(app), None, told.append) for _ in range(3)}
            assert (front.asked, front.pulls) == (3, 1)
            assert set(told) == digests
            assert len(told) == 3

    asyncio.run(story())


def test_a_name_that_can_never_be_one_is_given_up_at_once() -> None:
    async def story() -> None:
        async with images() as driver:
            for name in ("App:1", "app:1:2", f"app@sha256:{'ab' * 20}", "a" * 256, "ab" * 32):
                begun = asyncio.get_running_loop().time()
                with pytest.raises(GiveUp, match="invalid reference format"):
                    await driver.pull(ImageSource(Image(name)), None, ignore)
                assert asyncio.get_running_loop().time() - begun < 0.1

    asyncio.run(story())


def test_a_reference_that_is_none_never_reaches_docker() -> None:
    async def story() -> None:
        async with images(NOWHERE) as driver:
            odd = Image("app/../../containers/json?")
            for asked in (driver.has(odd), driver.pull(ImageSource(odd), None, ignore)):
                with pytest.raises(GiveUp, match="invalid reference format"):
                    await asked

    asyncio.run(story())
