"""How late the event loop is: everything that the agent does waits for it.

A sleep that ends late was kept waiting by whoever held the loop. The lateness of each is counted, and the worst of the
last minute is kept.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from agent.operator.meter import Spread

EVERY = 0.5
"""Seconds between two looks."""
WINDOW = 120
"""Looks of which the worst is told: a minute of them."""
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LagLoop:
    """Looks for as long as the agent lives. *sleep* and *now* are of one clock."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._latest: deque[float] = deque(maxlen=WINDOW)
        self.spread = Spread(BOUNDS)

    @property
    def worst(self) -> float:
        """Seconds by which the loop was late at worst in the last minute."""
        return max(self._latest, default=0.0)

    async def run(self) -> None:
        """Run for ever."""
        now = self._now or asyncio.get_running_loop().time
        while True:
            began = now()
            await self._sleep(EVERY)
            late = max(0.0, now() - began - EVERY)
            self.spread.add(late)
            self._latest.append(late)
