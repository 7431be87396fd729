"""How long to leave ECS, or one task's reports, alone after a failure."""

import math
from dataclasses import dataclass

FIRST = 1.0
GROWTH = 1.3
LONGEST = 30.0
JITTER = 0.2
ENOUGH = 20
"""More tries make no pause longer, and no power too large to compute."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent before `until`, a moment on the monotonic clock. The default pauses nothing."""

    until: float = -math.inf
    tries: int = 0

    def longer(self, now: float, draw: float) -> "Pause":
        """The pause after one more failure: 1 s, then 1.3 times as much each time, up to 30 s.

        *draw*, a random number from 0 to 1, spreads pauses upward by a fifth, so that many agents do not come back as
        one.
        """
        length = min(FIRST * GROWTH ** min(self.tries, ENOUGH), LONGEST / (1 + JITTER))
        return Pause(until=now + length * (1 + JITTER * draw), tries=self.tries + 1)
