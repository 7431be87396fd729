import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

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
from agent.runner.loop import Runner
from agent.runner.watch_loop import FIRST_RETRY, Watcher
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


class Streaming(Docker):
    """Containers of a script, and an event stream that the story feeds and cuts."""

    def __init__(self, *shown: Seen) -> None:
        super().__init__(looks=[None])
        self.shown = {one.docker_id: one for one in shown}
        self.blind = False
        self.hints: asyncio.Queue[Hint | None] = asyncio.Queue()
        self.pauses: list[float] = []
        self.watcher: Watcher | None = None

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def inspect(self, reference: str) -> Seen | None:
        if self.blind:
            raise TryAgain("no answer")
        return self.shown.get(DockerId(reference))

    async def listing(self) -> Sequence[Summary]:
        return [Summary(one.docker_id, one.phase, ARN, one.labels.container) for one in self.shown.values()]

    async def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
        opened()
        while (hint := await self.hints.get()) is not None:
            yield hint
        raise TryAgain("the stream ended")


Story = Callable[[Streaming, Listening, Engine], Awaitable[None]]


def play(docker: Streaming, story: Story) -> None:
    async def whole() -> None:
        engine = Engine(RULES, [Play().running().task])
        runner = Listening(engine)
        docker.watcher = watcher = Watcher(engine, runner, docker, docker, clock=lambda: T0, pause=docker.pause)
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


def test_the_end_of_the_stream_holds_all_acts_until_docker_was_listed_again() -> None:
    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        docker.hints.put_nowait(None)
        await until(runner, lambda: runner.kinds().count(Listed) > 1)
        assert runner.kinds() == [Listed, DockerLost, DockerBack, Listed]
        again = runner.heard[3]
        assert isinstance(again, Listed)
        assert again.asked >= 2  # asked for after the loss had been decided

    play(Streaming(seen()), story)


def test_a_stream_that_ends_after_docker_was_well_is_opened_again_soon_however_often() -> None:
    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        for _ in range(5):
            listed = runner.kinds().count(Listed)
            docker.hints.put_nowait(None)
            await until(runner, lambda: runner.kinds().count(Listed) > listed)  # noqa: B023 -- asked within the round
        assert docker.pauses == [FIRST_RETRY] * 5

    play(Streaming(seen()), story)


def test_a_stream_that_does_not_open_is_asked_for_less_and_less_often() -> None:
    class Closed(Streaming):
        async def watch(self, opened: Callable[[], None]) -> AsyncGenerator[Hint, None]:
            if len(self.pauses) < 8:
                raise TryAgain("nobody listens")
            async for hint in super().watch(opened):
                yield hint

    async def story(docker: Streaming, runner: Listening, _engine: Engine) -> None:
        await until(runner, lambda: Listed in runner.kinds())
        assert docker.pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
        assert runner.kinds() == [DockerLost, DockerBack, Listed]

    play(Closed(seen()), story)
