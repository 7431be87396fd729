"""How late an event loop is while it works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

EVERY = 0.002


@asynccontextmanager
async def lags() -> AsyncIterator[list[float]]:
    """Seconds by which a job that wanted to go on every two milliseconds came too late, until the block ends."""
    found: list[float] = []
    loop = asyncio.get_running_loop()

    async def look() -> None:
        while True:
            began = loop.time()
            await asyncio.sleep(EVERY)
            found.append(loop.time() - began - EVERY)

    job = asyncio.create_task(look())
    try:
        yield found
    finally:
        job.cancel()


def percentile(values: list[float], share: float) -> float:
    """The value that *share* of *values* do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
