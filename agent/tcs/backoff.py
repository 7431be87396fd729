"""How long to wait before the next telemetry session ("wire protocol", TCS, timers and reconnect). Pure.

A session that ended cleanly is opened again at once. Any other end, and any attempt that failed, is followed by a wait
of a second, twice as long each time up to a minute, and up to a fifth on top by chance; only a clean end starts over.

One deviation: a server that ends sessions faster than once a second is met at once the first time only, so that the two
cannot spin.
"""

from dataclasses import dataclass

FIRST = 1.0
GROWTH = 2.0
LAST = 60.0
JITTER = 0.2
QUICK = 1.0
"""Seconds: a clean end that comes sooner may be a server that closes whatever opens."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session, or an attempt at one, came to its end."""

    why: str
    clean: bool = False
    lasted: float = 0.0
    """Seconds from the handshake to the end."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the ends so far come to."""

    delay: float = FIRST
    quick_ends: int = 0

    def after(self, ended: Ended, *, chance: float) -> tuple["Pace", float]:
        """The pace from here, and the seconds to wait. *chance* is from 0 to 1."""
        quick_ends = self.quick_ends + 1 if ended.clean and ended.lasted < QUICK else 0
        if ended.clean and quick_ends <= 1:
            return Pace(FIRST, quick_ends), 0.0
        return Pace(min(LAST, self.delay * GROWTH), quick_ends), self.delay * (1 + JITTER * chance)
