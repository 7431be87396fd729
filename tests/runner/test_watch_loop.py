import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from agent.engine.engine import Engine
from agent.model.decision import Decision
from agent.model.errors import TryAgain
from agent.model.events import (
    DockerBack,
    DockerLost,
    EndedWell,
    Event,
    ImagePulled,
    Listed,
    Observed,
    TaskAssigned,
)
from agent.model.names import DockerId, Image
from agent.model.saved import Saved
from agent.model.seen import Hint, Phase, Seen, Summary
from agent.model.status import Doing, Status
from agent.model.task import ImageSource
from agent.runner import watch_loop
from agent.runner.loop import Runner
from agent.runner.pulse_loop import FIRST_RETRY
from agent.runner.watch_loop import Watcher
from tests.engine.rows import ARN, OTHER, RULES, T0, Play, after, seen, spec
from tests.runner.test_perform import Docker


class Listening(Runner):
    """The real runner, with a note of every event that reached it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, Forgetful(), clock=lambda: T0, after_commit=lambda _: None)
        self.heard: list[Event] = []
        self.news = asyncio.Condition()

    async def submit(self, *events: Event) -> None:
        await super().submit(*events)
        await self._remember(*events)

    def post(self, *events: Event) -> None:
        super().post(*events)
        self.heard += events

    async def _remember(self, *events: Event) -> None:
        async with self.news:
            self.heard += events
            self.news.notify_all()

    def kinds(self) -> list[type]:
        return [type(event) for event in self.heard]


class Forgetful:
    async def load(self) -> Saved:
        return Saved((), ())

    async def commit(self, decision: Decision) -> None:
        pass

    @property
    def is_durable(self) -> bool:
        return True

    async def saved(self) -> None:
        pass


class Streaming(Docker):
    """Containers of a script, and an event stream that the story feeds and cuts."""

    def __init__(self, *shown: Seen) -> None:
        super().__init__(looks=[None])
        self.shown = {one.docker_id: one for one in shown}
        self.blind = False
        self.hints: asyncio.Queue[Hint | None] = asyncio.Queue()
        self.pauses: list[float] = []
        self.watcher: Watcher | None = None
        self.is_silent = False
        self.was_told_that_it_is_back = 0
        self.streams = self.streams_left = 0

    def is_doubted(self) -> None:
        assert self.watcher is not None
        self.watcher._pulse.doubt()

    async def ping(self) -> None:
        if self.is_silent:
            raise TryAgain("no answer")

    def is_back(self) -> None:
        self.was_told_that_it_is_back += 1

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def inspect(self, reference: str) -> Seen | None:
        if self.blind:
            raise TryAgain("no answer")
        return self.shown.get(DockerId(reference))

    async def listing(self) -> Sequence[Summary]:
        return [Summary(one.docker_id, one.phase, ARN, one.labels.container) for one in self.shown.values()]

    async def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
        self.streams += 1
        opened()
        try:
            while (hint := await self.hints.get()) is not None:
                yield hint
        except asyncio.CancelledError:
            self.streams_left += 1
            raise
        raise TryAgain("the stream ended")


Story = Callable[[Streaming, Listening, Engine], Awaitable[None]]


def play(docker: Streaming, story: Story) -> None:
    async def whole() -> None:
        engine = Engine(RULES, [Play().running().task])
        runner = Listening(engine)
        docker.watcher = watcher = Watcher(engine, runner, docker, docker, docker, clock=lambda: T0, pause=docker.pause)
        jobs = [asyncio.ensure_future(runner.run(silent)), asyncio.ensure_future(watcher.run())]
        try:
            async with asyncio.timeout(5):
                await story(docker, runner, engine)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(whole())


class Silent:
    async def perform(self, act: object) -> None:
        """Answer nothing."""


silent = Silent()


async def until(runner: Listening, question: Callable[[], bool]) -> None:
    while not question():
        await runner.submit()


def test_a_listing_follows_the_opening_of_the_stream_and_judges_what_it_finds() -> None:
    async def story(_docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: engine.tasks[ARN]["app"].exit_code == 7)
        assert runner.kinds() == [Listed]

    play(Streaming(seen(Phase.EXITED, exit_code=7)), story)


def test_a_hint_makes_us_look_at_its_container() -> None:
    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.shown[DockerId("id-app")] = seen(Phase.EXITED, exit_code=3)
        docker.hints.put_nowait(Hint(DockerId("id-app"), "die"))
        await until(runner, lambda: engine.tasks[ARN]["app"].exit_code == 3)
        assert Observed in runner.kinds()

    play(Streaming(seen()), story)


def test_an_end_with_exit_code_0_is_told_before_docker_has_answered_the_look() -> None:
    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.hints.put_nowait(Hint(DockerId("id-app"), "die", ARN, after(3)))
        await until(runner, lambda: engine.tasks[ARN]["app"].exit_code == 0)
        assert engine.tasks[ARN]["app"].finished_at == after(3)
        assert EndedWell in runner.kinds()
        await until(runner, lambda: Observed in runner.kinds())  # and Docker is looked at all the same

    play(Streaming(seen()), story)


def test_what_a_create_that_is_on_its_way_will_answer_is_not_looked_at() -> None:
    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        await runner.submit(TaskAssigned(spec(OTHER), T0, "0" * 40), ImagePulled(ImageSource(Image("app:1")), T0))
        await until(runner, lambda: Doing.CREATE in engine.tasks[OTHER]["app"].doing)
        docker.shown[DockerId("id-other")] = seen(Phase.CREATED, arn=OTHER)
        docker.hints.put_nowait(Hint(DockerId("id-other"), "create", OTHER))
        docker.hints.put_nowait(Hint(DockerId("id-app"), "die", ARN))
        await until(runner, lambda: Observed in runner.kinds())
        assert runner.kinds().count(Observed) == 1
        assert not engine.tasks[OTHER]["app"].docker_id

    play(Streaming(seen()), story)


def test_a_hint_of_a_container_that_is_gone_brings_a_listing_which_believes_the_absence() -> None:
    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.shown.clear()
        docker.hints.put_nowait(Hint(DockerId("id-app"), "destroy"))
        await until(runner, lambda: engine.tasks[ARN].known is Status.STOPPED)

    play(Streaming(seen()), story)


def test_acts_that_are_lost_over_and_over_bring_listings_that_are_further_and_further_apart() -> None:
    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        async def listing(ask: Callable[[], None]) -> None:
            before = runner.kinds().count(Listed)
            ask()
            await until(runner, lambda: runner.kinds().count(Listed) > before)

        await until(runner, lambda: Listed in runner.kinds())
        assert docker.watcher is not None
        for _ in range(7):
            await listing(docker.watcher.list_soon)
        assert docker.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
        docker.shown.clear()
        await listing(lambda: docker.hints.put_nowait(Hint(DockerId("id-app"), "destroy")))
        await listing(docker.watcher.list_soon)
        assert len(docker.pauses) == 6

    play(Streaming(seen()), story)


def test_a_look_that_fails_says_nothing_of_the_container() -> None:
    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.shown.clear()
        docker.blind = True
        docker.hints.put_nowait(Hint(DockerId("id-app"), "destroy"))
        await until(runner, lambda: runner.kinds().count(Listed) > 1)
        assert engine.tasks[ARN].known is Status.RUNNING

    play(Streaming(seen()), story)


def test_the_silence_of_docker_holds_all_acts_until_it_was_listed_again() -> None:
    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.is_silent = True
        docker.hints.put_nowait(None)
        await until(runner, lambda: DockerLost in runner.kinds())
        assert docker.watcher is not None
        was_there = docker.watcher.is_there
        assert not was_there
        assert engine.next_deadline() is None
        docker.is_silent = False
        await until(runner, lambda: runner.kinds().count(Listed) > 1)
        assert docker.watcher.is_there
        assert [kind for kind in runner.kinds() if kind is not Listed] == [DockerLost, DockerBack]
        assert docker.was_told_that_it_is_back == 1
        again = runner.heard[runner.kinds().index(DockerBack) + 1]
        assert isinstance(again, Listed)
        assert again.asked >= 2  # asked for after the loss had been decided

    play(Streaming(seen()), story)


def test_the_end_of_the_stream_is_no_loss_while_docker_answers_and_is_followed_by_another_stream_and_a_listing() -> (
    None
):
    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        for _ in range(5):
            listed = runner.kinds().count(Listed)
            docker.hints.put_nowait(None)
            await until(runner, lambda: runner.kinds().count(Listed) > listed)  # noqa: B023 -- asked within the round
        assert docker.pauses == [FIRST_RETRY] * 5
        assert docker.streams == 6
        assert set(runner.kinds()) == {Listed}

    play(Streaming(seen()), story)


def test_a_stream_that_does_not_open_is_asked_for_less_and_less_often_and_listings_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(Streaming):
        async def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
            if len(self.pauses) < 6:
                raise TryAgain("nobody listens")
            await asyncio.Event().wait()
            async for hint in super().watch(opened):
                yield hint

    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds() and len(docker.pauses) == 6)
        docker.shown[DockerId("id-app")] = seen(Phase.EXITED, exit_code=3)
        await until(runner, lambda: engine.tasks[ARN]["app"].exit_code == 3)
        assert docker.pauses == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]
        assert DockerLost not in runner.kinds()

    monkeypatch.setattr(watch_loop, "LIST_EVERY_DEAF", 0.01)
    play(Closed(seen()), story)


def test_a_stream_that_is_cut_off_by_dockers_silence_is_left() -> None:
    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.is_silent = True
        docker.is_doubted()
        await until(runner, lambda: docker.streams_left == 1)
        docker.is_silent = False
        await until(runner, lambda: docker.streams == 2)
        await until(runner, lambda: runner.kinds().count(Listed) > 1)

    play(Streaming(seen()), story)


def test_a_listing_that_hangs_is_left_for_another_which_gets_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hung(Streaming):
        asked = 0

        async def listing(self) -> Sequence[Summary]:
            self.asked += 1
            if self.asked < 3:
                await asyncio.Event().wait()
            return await super().listing()

    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        began = asyncio.get_running_loop().time()
        await until(runner, lambda: Listed in runner.kinds())
        assert asyncio.get_running_loop().time() - began >= 0.03
        assert runner.kinds() == [Listed]  # nobody says that Docker is lost

    monkeypatch.setattr(watch_loop, "LIST_WITHIN", 0.01)
    play(Hung(seen()), story)


def test_a_look_that_hangs_keeps_nobody_from_hearing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hung(Streaming):
        hangs = True

        async def inspect(self, reference: str) -> Seen | None:
            if self.hangs and reference == "id-app":
                await asyncio.Event().wait()
            return await super().inspect(reference)

    shown = seen(Phase.EXITED, exit_code=7)
    found = replace(seen(arn=OTHER), docker_id=DockerId("id-other"))

    async def story(docker: Streaming, runner: Listening, engine: Engine) -> None:
        assert isinstance(docker, Hung)
        await until(runner, lambda: OTHER in engine.tasks)
        assert engine.tasks[ARN].known is Status.RUNNING
        docker.hangs = False
        await until(runner, lambda: engine.tasks[ARN]["app"].exit_code == 7)

    monkeypatch.setattr(watch_loop, "LOOKS_WITHIN", 0.05)
    play(Hung(shown, found), story)
