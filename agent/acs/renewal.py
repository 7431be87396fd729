"""When ACS is asked once more for credentials that it should have sent by itself. Pure.

It can be asked at the beginning of a connection only, so asking means to open another one. What lacks is looked at with
every message; ECS has a while to send it, and longer with each time that it was asked in vain.
"""

from dataclasses import dataclass

FIRST = 60.0
GROWTH = 3.0
LAST = 30 * 60.0
"""Seconds. As often as that a connection is opened anew anyway."""


@dataclass(slots=True)
class Renewal:
    """What has lacked since when. Times are seconds of a clock that nobody sets."""

    _since: float | None = None
    _wait: float = FIRST

    def is_due(self, now: float, *, lacks: bool) -> bool:
        """Is it time to ask again, now that something *lacks* or nothing does?"""
        if not lacks:
            self._since, self._wait = None, FIRST
            return False
        if self._since is None:
            self._since = now
        if now - self._since < self._wait:
            return False
        self._since, self._wait = now, min(self._wait * GROWTH, LAST)
        return True
