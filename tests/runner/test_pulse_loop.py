import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agent.model.errors import AgentError, TryAgain
from agent.runner import pulse_loop
from agent.runner.pulse_loop import PulseLoop


class Docker:
    """Answers pings as a story says, and notes what became of the loop."""

    def __init__(self) -> None:
        self.answers = True
        self.hangs = False
        self.asked = 0
        self.news: list[str] = []
        self.pauses: list[float] = []
        self.changed = asyncio.Condition()
        self.loop = PulseLoop(self, lost=self.lost, back=self.back, pause=self.pause)

    async def ping(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if not self.answers:
            raise TryAgain("refused")

    def is_back(self) -> None:
        self.news.append("is back")

    def lost(self, error: AgentError) -> None:
        self.news.append(f"lost: {error}")

    async def back(self) -> None:
        self.news.append("back")

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


def play(story: Callable[[Docker], Awaitable[None]]) -> None:
    async def whole() -> None:
        docker = Docker()
        job = asyncio.ensure_future(docker.loop.run())
        try:
            async with asyncio.timeout(5):
                await story(docker)
        finally:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    asyncio.run(whole())


async def turn() -> None:
    await asyncio.sleep(0)


async def until(question: Callable[[], bool]) -> None:
    while not question():
        await turn()


def test_docker_is_lost_within_ten_seconds_of_its_last_answer() -> None:
    assert pulse_loop.PING_EVERY + pulse_loop.PING_WITHIN < 10
    assert pulse_loop.LONGEST_RETRY <= 1


def test_a_ping_that_is_not_answered_says_that_docker_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(docker: Docker) -> None:
        await until(lambda: docker.asked > 2)
        assert docker.news == []
        docker.hangs = True
        await until(lambda: docker.news != [])
        assert docker.news == ["lost: Docker did not answer within 0.02 s"]
        assert not docker.loop.is_there

    monkeypatch.setattr(pulse_loop, "PING_EVERY", 0.01)
    monkeypatch.setattr(pulse_loop, "PING_WITHIN", 0.02)
    play(story)


def test_a_doubt_that_docker_dispels_changes_nothing() -> None:
    async def story(docker: Docker) -> None:
        docker.loop.doubt()
        await until(lambda: docker.asked == 1)
        await docker.loop.until_there()
        assert docker.news == []

    play(story)


def test_while_docker_refuses_it_is_asked_at_most_a_second_apart_and_its_answer_ends_the_loss() -> None:
    async def story(docker: Docker) -> None:
        docker.answers = False
        docker.loop.doubt()
        await until(lambda: len(docker.pauses) == 5)
        assert docker.pauses == [0.25, 0.5, 1.0, 1.0, 1.0]
        docker.answers = True
        await docker.loop.until_there()
        assert docker.news == ["lost: refused", "is back", "back"]

    play(story)


def test_a_ping_that_hangs_does_not_keep_the_next_from_being_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(docker: Docker) -> None:
        docker.answers = False
        docker.loop.doubt()
        await until(lambda: len(docker.pauses) == 1)
        docker.hangs = True
        before = docker.asked
        await until(lambda: docker.asked == before + 1)
        docker.hangs, docker.answers = False, True
        async with asyncio.timeout(1):  # the one that hangs has five
            await docker.loop.until_there()

    monkeypatch.setattr(pulse_loop, "LONGEST_RETRY", 0.02)
    play(story)


def test_what_waits_for_docker_is_left_when_it_is_lost() -> None:
    async def story(docker: Docker) -> None:
        docker.answers = False
        docker.loop.doubt()
        with pytest.raises(TimeoutError):
            async with docker.loop.while_there():
                await asyncio.Event().wait()
        assert docker.news[0] == "lost: refused"

    play(story)
