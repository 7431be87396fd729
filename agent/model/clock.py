"""Time as a value that can be handed in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NO_STEP = timedelta(seconds=1)
"""Two clocks differ by as much without anybody having set one."""
HELD, READINGS = 0.1, 5

Clock = Callable[[], datetime]
"""Says what time it is, in UTC."""


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """Two clocks at one moment: the one on the wall, and one that counts the seconds since the machine was started."""

    wall: datetime
    seconds: float


class Steps:
    """Notices when the wall clock is set, by a clock that nobody sets: `monotonic` counts seconds.

    Of two processes on one machine, since it was started, the later one may go on from the *last* look of the earlier.

    While the machine sleeps such a clock may stand still; waking up then looks like a step, and is to be taken as one.
    """

    def __init__(self, clock: Clock, monotonic: Callable[[], float], last: Reading | None = None) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self.last = last or self._read()

    def look(self) -> tuple[datetime, timedelta]:
        """The time now, and how much of it is a step that was made since the last look; nothing up to a second."""
        now, last = self._read(), self.last
        by = (now.wall - last.wall) - timedelta(seconds=now.seconds - last.seconds)
        self.last = now
        return now.wall, by if abs(by) > NO_STEP else timedelta()

    def _read(self) -> Reading:
        """Both clocks at one moment: a process that was held between two readings reads once more."""
        for _ in range(READINGS):
            before = self._monotonic()
            wall = self._clock()
            after = self._monotonic()
            if after - before < HELD:
                break
        return Reading(wall, after)


def stamped_anew(at: datetime, now: datetime, by: timedelta) -> datetime:
    """*at*, read from a clock that was stepped *by* shortly before *now*, as that clock has it now.

    Whether it was read before or after the step shows by which of the two times it is nearer to.
    """
    return at + by if abs(now - by - at) < abs(now - at) else at
