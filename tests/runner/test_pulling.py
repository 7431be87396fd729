import asyncio
from collections.abc import Callable

import pytest

from agent.model.acts import PullImage
from agent.model.credentials import RegistryLogin
from agent.model.errors import TryAgain
from agent.model.events import Event, ImagePulled, ImageResolved
from agent.model.names import Image
from agent.model.status import PullBehavior
from agent.model.task import ImageSource
from agent.runner.pulling import FORGETFUL, Pulling, exact
from tests.engine.rows import T0

APP = ImageSource(Image("r.example:5000/app:1"))
LOCAL, REMOTE = "sha256:local", "sha256:remote"


class Host:
    """The images of a host, a registry, and a memory of what was fetched."""

    def __init__(self, *here: ImageSource, remembers: bool = False, full: bool = False) -> None:
        self.here = {source.image for source in here}
        self.noted = {source.image for source in here} if remembers else set[Image]()
        self.full = full
        self.fetched = 0
        self.told: list[Event] = []

    async def has(self, image: Image) -> bool:
        return image in self.here

    async def digest(self, image: Image) -> str:
        return LOCAL if image in self.here else ""

    async def pull(self, source: ImageSource, login: RegistryLogin | None, resolved: Callable[[str], None]) -> str:
        raise AssertionError("pulls go by way of the fetch")

    async def fetch(self, source: ImageSource) -> ImagePulled:
        self.fetched += 1
        self.here.add(source.image)
        return ImagePulled(source, T0, REMOTE, "registry")

    async def has_pulled(self, image: Image) -> bool:
        if self.full:
            raise OSError("disk")
        return image in self.noted

    async def note_pull(self, image: Image) -> None:
        if self.full:
            raise OSError("disk")
        self.noted.add(image)

    def pulled(self, behavior: PullBehavior) -> ImagePulled:
        pulling = Pulling(self, self, clock=lambda: T0, tell=self.told.append)
        return asyncio.run(pulling.pull(PullImage(APP, behavior), self.fetch))


@pytest.mark.parametrize(
    ("behavior", "host", "fetches"),
    [
        (PullBehavior.DEFAULT, Host(APP, remembers=True), True),
        (PullBehavior.ALWAYS, Host(APP, remembers=True), True),
        (PullBehavior.ONCE, Host(APP, remembers=True), False),
        (PullBehavior.ONCE, Host(APP), True),
        (PullBehavior.ONCE, Host(), True),
        (PullBehavior.PREFER_CACHED, Host(APP), False),
        (PullBehavior.PREFER_CACHED, Host(), True),
    ],
)
def test_the_behaviour_says_whether_the_registry_is_asked(behavior: PullBehavior, host: Host, *, fetches: bool) -> None:
    outcome = host.pulled(behavior)

    assert host.fetched == fetches
    assert (outcome.digest, outcome.cause) == ((REMOTE, "registry") if fetches else (LOCAL, "cache"))
    assert host.told == ([] if fetches else [ImageResolved(APP, LOCAL, T0, "cache")])


def test_once_fetches_again_what_somebody_has_removed() -> None:
    host = Host(APP, remembers=True)
    host.here.clear()

    assert host.pulled(PullBehavior.ONCE).cause == "registry"


def test_whatever_was_fetched_is_remembered_by_its_tag_and_by_its_digest() -> None:
    host = Host()

    host.pulled(PullBehavior.DEFAULT)

    assert host.noted == {APP.image, f"r.example:5000/app@{REMOTE}"}
    assert host.pulled(PullBehavior.ONCE).cause == "cache"


def test_a_failed_fetch_is_not_remembered() -> None:
    class Broken(Host):
        async def fetch(self, source: ImageSource) -> ImagePulled:
            raise TryAgain(f"no {source.image}")

    host = Broken()
    with pytest.raises(TryAgain):
        host.pulled(PullBehavior.ONCE)

    assert host.noted == set()


def test_a_disk_that_fails_costs_a_fetch_and_no_container() -> None:
    host = Host(APP, remembers=True, full=True)

    assert host.pulled(PullBehavior.ONCE).cause == "registry"


def test_without_a_memory_every_image_is_new() -> None:
    async def story() -> bool:
        await FORGETFUL.note_pull(APP.image)
        return await FORGETFUL.has_pulled(APP.image)

    assert not asyncio.run(story())


@pytest.mark.parametrize("image", ["app", "app:1", "r.example:5000/a/app", "r.example:5000/a/app:1"])
def test_the_exact_name_has_the_digest_in_place_of_the_tag(image: str) -> None:
    assert exact(Image(image), "sha256:1") == image.removesuffix(":1") + "@sha256:1"
