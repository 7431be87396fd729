"""What the time is where a signature is checked. AWS refuses one whose date is more than five minutes off.

An answer's ``Date`` says what the time is there. It is kept beside a clock that nobody sets, so that it stays right
when the wall clock of this machine is set, and whoever has heard it once signs well without being refused again. As
long as the wall clock is right within a few minutes, it is what counts.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from structlog import get_logger

from agent.model.clock import Clock, utc_now

log = get_logger()

FEW_MINUTES = timedelta(minutes=4)
"""A difference that AWS still bears; anything more is corrected."""
FAR = 3000
"""No clock is set to this year; near the last one that there is, dates cannot be reckoned with."""
SKEWED = frozenset(
    {
        "AuthFailure",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
"""The words with which services refuse a signature, for its date among other reasons."""


def seconds_awake_or_asleep() -> float:
    """A count of seconds that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ServerTime:
    """The time at each endpoint, by what its answers said; at one that said nothing yet, by the newest of others."""

    def __init__(self, clock: Clock = utc_now, seconds: Callable[[], float] = seconds_awake_or_asleep) -> None:
        self._clock = clock
        self._seconds = seconds
        self._ahead: dict[str, datetime] = {}
        """What the time was at each endpoint when the count of seconds began."""
        self._newest = ""

    def now(self, url: str) -> datetime:
        """The date to sign a request to *url* with."""
        here = self._clock()
        start = self._ahead.get(urlsplit(url).netloc) or self._ahead.get(self._newest)
        if start is None:
            return here
        there = start + timedelta(seconds=self._seconds())
        return there if abs(there - here) > FEW_MINUTES else here

    def accepted(self, url: str, date: str) -> None:
        """A request to *url* was answered with success and *date*.

        A date that the signature would not have been good at is somebody else's, such as a proxy's.
        """
        there = _read(date)
        if there is not None and abs(there - self.now(url)) <= FEW_MINUTES:
            self._keep(url, there)

    def refused(self, url: str, date: str) -> bool:
        """A signature was refused with *date*. Is its own date to blame, so that another one is worth a try?"""
        there, before = _read(date), self.now(url)
        if there is None or abs(there - before) <= FEW_MINUTES:
            return False
        self._keep(url, there)
        log.warning(
            "clock_differs_from_server",
            endpoint=urlsplit(url).netloc,
            seconds=round((there - self._clock()).total_seconds()),
        )
        return True

    def _keep(self, url: str, there: datetime) -> None:
        self._newest = urlsplit(url).netloc
        self._ahead[self._newest] = there - timedelta(seconds=self._seconds())


def _read(date: str) -> datetime | None:
    """The moment that a ``Date`` header names; None for one that names none."""
    try:
        read = parsedate_to_datetime(date)
        there = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return there if there.year < FAR else None
