"""When a registration is tried again: 3, 6, 12, ... 192 seconds, for an hour."""

from dataclasses import dataclass

FIRST, LONGEST = 3.0, 192.0
JITTER = 0.2
BUDGET = 3600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long the next wait is, and how much of the hour is gone. Jitter only ever lengthens a wait."""

    gone: float = 0.0
    step: float = FIRST

    def wait(self, draw: float) -> float:
        """Seconds to wait now; *draw* is uniform in [0, 1)."""
        return self.step * (1 + JITTER * draw)

    def after(self, waited: float) -> "Backoff":
        """The state after having waited *waited* seconds, calls included."""
        return Backoff(self.gone + waited, min(LONGEST, self.step * 2))

    @property
    def is_spent(self) -> bool:
        """Is the hour over?"""
        return self.gone >= BUDGET
