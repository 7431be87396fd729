"""Looking out for links and disks: at once, again and again while anything is on its way, and not at all otherwise."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from structlog.testing import capture_logs

from agent.acs.attachments_loop import LOOK_EVERY, AttachmentsLoop
from agent.engine.engine import Engine
from agent.model.attachments import AttachmentKind
from agent.model.events import AttachmentAnnounced, AttachmentsFound, DeadlinePassed, Event
from tests.engine.rows import RULES, T0, after

PATIENCE = 10.0


class Scene:
    """An engine, a host that shows what the test says, and time that stands still."""

    def __init__(self) -> None:
        self.engine = Engine(RULES)
        self.now = T0
        self.shown: frozenset[str] = frozenset()
        self.looks = 0
        self.told: list[Event] = []
        self.waits: list[float] = []
        self.loop = AttachmentsLoop(self, self.engine.attachments, self, clock=lambda: self.now, wait=self._wait)
        self._pause = asyncio.Event()
        self._changed = asyncio.Event()

    async def keys(self) -> frozenset[str]:
        """The host."""
        self.looks += 1
        self._stir()
        return self.shown

    async def submit(self, *events: Event) -> None:
        """The runner."""
        for event in events:
            self.told += [event]
            self.loop.hear(self.engine.decide(event).attachments)
        self._stir()

    def announce(self, name: str) -> None:
        event = AttachmentAnnounced(name, AttachmentKind.VOLUME, name, 5000, self.now)
        self.loop.hear(self.engine.decide(event).attachments)

    async def _wait(self, news: asyncio.Event, seconds: float) -> None:
        self.waits.append(seconds)
        self._stir()
        self._pause.clear()
        jobs = [asyncio.ensure_future(event.wait()) for event in (news, self._pause)]
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in jobs:
            job.cancel()

    def go_on(self) -> None:
        """The wait between two looks is over."""
        self._pause.set()

    def _stir(self) -> None:
        self._changed.set()

    async def until(self, come_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not come_true():
                self._changed.clear()
                await self._changed.wait()


def play(story: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        scene = Scene()
        job = asyncio.create_task(scene.loop.run())
        try:
            await story(scene)
        finally:
            job.cancel()
            await asyncio.wait([job])

    asyncio.run(main())


def test_what_is_there_already_is_found_at_once() -> None:
    async def story(scene: Scene) -> None:
        scene.shown = frozenset({"vol1", "other"})
        scene.announce("vol1")
        await scene.until(lambda: bool(scene.told))
        assert scene.engine.attachments["vol1"].told
        assert scene.told == [AttachmentsFound(frozenset({"vol1"}), T0)]

    play(story)


def test_what_comes_later_is_found_at_the_next_look() -> None:
    async def story(scene: Scene) -> None:
        scene.announce("vol1")
        await scene.until(lambda: scene.waits == [LOOK_EVERY])
        assert scene.told == []
        scene.shown = frozenset({"vol1"})
        scene.go_on()
        await scene.until(lambda: bool(scene.told))

    play(story)


def test_nobody_looks_while_nothing_is_on_its_way_or_once_all_has_come() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(0)
        assert (scene.looks, scene.waits) == (0, [])
        scene.shown = frozenset({"vol1"})
        scene.announce("vol1")
        await scene.until(lambda: len(scene.waits) == 1)
        scene.go_on()
        for _ in range(5):
            await asyncio.sleep(0)
        assert scene.looks == 1
        scene.announce("vol2")
        await scene.until(lambda: scene.looks == 2)

    play(story)


def test_nobody_looks_for_what_has_no_time_left_and_ecs_does_not_want_to_hear_of_it() -> None:
    async def story(scene: Scene) -> None:
        scene.announce("vol1")
        assert scene.loop.is_wanted("vol1")
        await scene.until(lambda: len(scene.waits) == 1)
        scene.now = after(3600)
        assert scene.loop.is_wanted("vol1"), "the clock may have been set; whether its time is up the engine says"
        scene.engine.decide(DeadlinePassed(after(5)))
        assert not scene.loop.is_wanted("vol1")
        assert not scene.loop.is_wanted("unknown")
        scene.shown = frozenset({"vol1"})
        scene.go_on()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (scene.looks, scene.told) == (1, [])

    with capture_logs() as lines:
        play(story)

    missed = [line for line in lines if line["event"] == "attachment_missed"]
    assert [(line["attachment"], line["log_level"]) for line in missed] == [("vol1", "warning")]


def test_time_is_counted_from_the_word_of_ecs() -> None:
    scene = Scene()
    scene.announce("vol1")
    assert scene.engine.attachments["vol1"].expires_at == T0 + timedelta(seconds=5)
