import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from structlog.testing import capture_logs

from agent.images.loop import FETCHES_AT_ONCE, ImagesLoop
from agent.images.prepull import LONGEST, wait_after
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import Image
from tests.images.scene import Host, hours

APP, WEB = Image("app:1"), Image("web:1")
HALF_AN_HOUR = timedelta(minutes=30)


class Sleeper:
    """Pauses that a test ends; each shows its length."""

    def __init__(self) -> None:
        self.pauses: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    async def pause(self, seconds: float) -> None:
        over = asyncio.Event()
        self.pauses.put_nowait((seconds, over))
        await over.wait()

    async def wake(self) -> float:
        """End the pause that comes next; gives its length."""
        seconds, over = await self.pauses.get()
        over.set()
        return seconds


async def no_fetch(image: Image) -> None:
    raise AssertionError(f"{image} was to be fetched")


def run(story: Callable[[Sleeper], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await story(Sleeper())

    asyncio.run(main())


def loop(sleeper: Sleeper, host: Host, interval: timedelta | None = HALF_AN_HOUR) -> ImagesLoop:
    return ImagesLoop(no_fetch, host.cleaner, prepull=(), interval=interval, pause=sleeper.pause)


def test_a_round_comes_after_each_interval_and_the_first_look_at_once() -> None:
    async def story(sleeper: Sleeper) -> None:
        host = Host()
        host.fetch("app:1", "a")
        job = asyncio.create_task(loop(sleeper, host).run())
        seconds, over = await sleeper.pauses.get()
        assert seconds == 1800
        assert set(host.kept) == {"a"}
        host.now = hours(2)
        assert host.removed == []

        over.set()
        await sleeper.pauses.get()

        assert host.removed == ["app:1"]
        job.cancel()

    run(story)


def test_a_round_that_fails_is_told_and_the_next_one_comes() -> None:
    async def story(sleeper: Sleeper) -> None:
        host = Host()
        host.fetch("app:1", "a")
        host.is_down = True
        with capture_logs() as told:
            job = asyncio.create_task(loop(sleeper, host).run())
            assert await sleeper.wake() == 1800
            host.now = hours(2)
            _, over = await sleeper.pauses.get()
            assert [line["event"] for line in told] == ["image_cleanup_failed"] * 2
        host.is_down = False
        over.set()
        await sleeper.pauses.get()
        assert host.removed == ["app:1"]
        job.cancel()

    run(story)


def test_without_an_interval_there_is_nothing_to_wait_for() -> None:
    async def story(sleeper: Sleeper) -> None:
        host = Host()
        host.is_down = True
        await loop(sleeper, host, None).run()

    run(story)


def test_images_are_fetched_side_by_side_but_not_all_at_once() -> None:
    async def story(sleeper: Sleeper) -> None:
        begun: list[Image] = []
        go = asyncio.Event()
        three = asyncio.Event()

        async def fetch(image: Image) -> None:
            begun.append(image)
            if len(begun) == FETCHES_AT_ONCE:
                three.set()
            await go.wait()

        images = [Image(f"app:{number}") for number in range(5)]
        fetching = ImagesLoop(fetch, Host().cleaner, prepull=images, interval=None, pause=sleeper.pause)
        job = asyncio.create_task(fetching.run())
        await three.wait()
        assert begun == images[:3]
        go.set()
        await job
        assert begun == images

    run(story)


def test_an_image_that_cannot_be_fetched_is_told_once_and_tried_until_it_is_here() -> None:
    async def story(sleeper: Sleeper) -> None:
        failures: list[Exception] = [TryAgain("the registry is down"), GiveUp("CannotPull", "no such image")] * 2
        here: list[Image] = []

        async def fetch(image: Image) -> None:
            if image == APP and failures:
                raise failures.pop(0)
            here.append(image)

        fetching = ImagesLoop(fetch, Host().cleaner, prepull=[APP, WEB], interval=None, pause=sleeper.pause)
        with capture_logs() as told:
            job = asyncio.create_task(fetching.run())
            waits = [await sleeper.wake() for _ in range(4)]
            await job
        assert here == [WEB, APP]
        assert waits == [2.0, 4.0, 8.0, 16.0]
        failed = [line for line in told if line["event"] == "prepull_failed"]
        assert [(line["image"], line["error"]) for line in failed] == [(APP, "the registry is down")]
        assert sorted(line["image"] for line in told if line["event"] == "prepulled") == [APP, WEB]

    run(story)


def test_the_wait_grows_to_five_minutes_and_no_further() -> None:
    assert [wait_after(failures) for failures in (1, 7, 8, 9, 10**6)] == [2.0, 128.0, 256.0, LONGEST, LONGEST]
