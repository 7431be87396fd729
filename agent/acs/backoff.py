"""How long to wait before the next connection ("wire protocol", connection lifecycle). Pure.

A connection that ended cleanly is opened again at once, any other after 250 ms, half as much again each time up to
two minutes, and up to a fifth on top, drawn by chance. A clean end, or a connection that outlived its probation,
starts over. A container instance that is not active asks once an hour.

One deviation: a server that ends clean connections faster than once a second is met at once the first time only;
from the second time on in a row it is treated like one that fails, so that the two cannot spin.
"""

from dataclasses import dataclass

FIRST = 0.25
GROWTH = 1.5
LAST = 120.0
JITTER = 0.2
AFTER_INACTIVE = 3600.0
QUICK = 1.0
"""Seconds: a clean end that comes sooner may be a server that closes whatever opens."""
PROBATION = 60.0
"""Seconds, and up to as many again by chance: a connection that lasts longer proves that the server is well."""
INACTIVE = "InactiveInstanceException"
UNKNOWN = "InvalidInstanceException"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a connection, or an attempt at one, came to its end."""

    why: str
    clean: bool = False
    lasted: float = 0.0
    """Seconds from the handshake to the end; 0 where there was no handshake."""
    opened: bool = False

    @property
    def is_inactive(self) -> bool:
        """Did ECS say that this container instance is deregistered? The word counts wherever it stands."""
        return not self.clean and INACTIVE in self.why

    @property
    def is_unknown(self) -> bool:
        """Did ECS say that there is no such container instance?"""
        return not self.clean and UNKNOWN in self.why


@dataclass(frozen=True, slots=True)
class Pace:
    """What the ends so far come to."""

    delay: float = FIRST
    quick_ends: int = 0

    def after(self, ended: Ended, *, probation: float, chance: float) -> tuple["Pace", float]:
        """The pace from here, and the seconds to wait. *chance* is from 0 to 1."""
        if ended.is_inactive:
            return Pace(), AFTER_INACTIVE
        quick_ends = self.quick_ends + 1 if ended.clean and ended.lasted < QUICK else 0
        if ended.clean and quick_ends <= 1:
            return Pace(FIRST, quick_ends), 0.0
        survived = ended.opened and ended.lasted >= probation
        delay = FIRST if survived else self.delay
        return Pace(min(LAST, delay * GROWTH), quick_ends), delay * (1 + JITTER * chance)
