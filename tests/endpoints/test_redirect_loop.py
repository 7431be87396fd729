import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from structlog.testing import capture_logs

from agent.endpoints.redirect_loop import EVERY, LONGEST, RedirectLoop
from agent.model.errors import TryAgain


@dataclass
class Host:
    """A firewall, in which `lacking` is missing, or that says `error`."""

    lacking: list[str] = field(default_factory=lambda: ["the rule"])
    error: str = ""
    made: int = 0

    async def lacks(self) -> Sequence[str]:
        if self.error:
            raise TryAgain(self.error)
        return list(self.lacking)

    async def make(self) -> None:
        self.made += 1
        self.lacking.clear()

    async def remove(self) -> None:
        raise AssertionError("nobody asked for that")


class Enough(Exception):
    """The test has seen enough."""


@dataclass
class Watch:
    """Does at each pause what the script says."""

    host: Host
    script: list[str]
    waits: list[float] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """What the log says."""
        loop = RedirectLoop(self.host, self._pause)
        self._loop = loop
        with capture_logs() as told, contextlib.suppress(Enough):
            asyncio.run(loop.run())
        return [one["event"] for one in told]

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.troubles.append(self._loop.trouble)
        if not self.script:
            raise Enough
        match self.script.pop(0):
            case "flush":
                self.host.lacking.append("the rule")
            case error:
                self.host.error = error


def test_it_is_made_at_the_start_and_again_when_somebody_flushed_it() -> None:
    watch = Watch(Host(), ["", "flush", "", ""])

    assert watch.run() == ["redirect_made", "redirect_made_again"]
    assert watch.host.made == 2
    assert set(watch.waits) == {EVERY}
    assert set(watch.troubles) == {""}


def test_what_cannot_be_made_is_said_once_and_shown_until_it_can() -> None:
    no, why = "there is no iptables on this machine", "Permission denied"
    watch = Watch(Host(error=no), [no, no, no, no, no, why, "", ""])

    told = watch.run()

    assert told == ["redirect_not_made", "redirect_not_made", "redirect_made", "redirect_works_again"]
    assert watch.troubles == [no] * 6 + [why] + [""] * 2
    assert watch.waits[:4] == [10, 20, 40, LONGEST]
    assert watch.waits[-1] == EVERY
