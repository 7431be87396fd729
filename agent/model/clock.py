"""Time as a value that can be handed in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NO_STEP = timedelta(seconds=1)
"""Two clocks differ by as much without anybody having set one."""
HELD, READINGS = 0.1, 5

Clock = Callable[[], datetime]
"""Says what time it is, in UTC."""


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class Steps:
    """Notices when the wall clock is set, by a clock that nobody sets: `monotonic` counts seconds.

    While the machine sleeps such a clock may stand still; waking up then looks like a step, and is to be taken as one.
    """

    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._wall, self._seconds = self._read()

    def look(self) -> tuple[datetime, timedelta]:
        """The time now, and how much of it is a step that was made since the last look; nothing up to a second."""
        wall, seconds = self._read()
        by = (wall - self._wall) - timedelta(seconds=seconds - self._seconds)
        self._wall, self._seconds = wall, seconds
        return wall, by if abs(by) > NO_STEP else timedelta()

    def _read(self) -> tuple[datetime, float]:
        """Both clocks at one moment: a process that was held between two readings reads once more."""
        for _ in range(READINGS):
            before = self._monotonic()
            wall = self._clock()
            after = self._monotonic()
            if after - before < HELD:
                break
        return wall, after


def stamped_anew(at: datetime, now: datetime, by: timedelta) -> datetime:
    """*at*, read from a clock that was stepped *by* shortly before *now*, as that clock has it now.

    Whether it was read before or after the step shows by which of the two times it is nearer to.
    """
    return at + by if abs(now - by - at) < abs(now - at) else at
