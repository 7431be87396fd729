"""A program in which everything goes wrong at once: a thousand errors a second, and another thousand lines that differ.

``python -m tests.faults.storm SECONDS`` logs as the service does, with settings from the environment, and prints how
late its event loop ever was (milliseconds), and how many lines it wrote.
"""

import asyncio
import os
import sys
import time

import structlog

from agent.cli import logs
from agent.config.load import load

A_SECOND = 1000
TICK = 0.01
log = structlog.get_logger()


async def storm(seconds: float) -> tuple[float, int]:
    """The greatest lag in milliseconds, and the number of errors."""
    began, count, worst = time.monotonic(), 0, 0.0
    while (gone := time.monotonic() - began) < seconds:
        for _ in range(int(gone * A_SECOND) - count):
            log.error("everything_broke", error=f"nobody answers at 10.0.0.{count % 256}", attempt=count)
            log.info("tried_again", attempt=count, why="the one before failed", padding="x" * 100)
            log.error("the_same_again", error="always the same")
            count += 1
            if count == A_SECOND:
                log.warning("something_new", when="in the middle")
        before = time.monotonic()
        await asyncio.sleep(TICK)
        worst = max(worst, time.monotonic() - before - TICK)
    return worst * 1000, count


def main(seconds: float) -> None:
    with logs.kept(load(os.environ, "")):
        lag, count = asyncio.run(storm(seconds))
    sys.stdout.write(f"{lag:.1f} {count}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]))
