"""``make bench``: what Dockworker adds to bare Docker, measured in interleaved rounds of one run.

Each round runs one task to RUNNING through the API and one container of the same image through Docker alone. The
medians and their spread are printed, with the memory of both programs.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiodocker
import psutil

from agent.docker.engine_driver import DEFAULT_HOST
from tests.sample_image import SAMPLE, sample_image
from tests.stories.house import House, Program, a_house, until

ROUNDS = 15
TASKS = 20
SLEEP = ["sleep", "600"]


def pss(program: Program) -> float:
    """The program's proportional set size in MiB."""
    assert program.process is not None
    return float(psutil.Process(program.process.pid).memory_full_info().pss) / 2**20


def through_dockworker(house: House, definition: str) -> float:
    """Seconds from the call of RunTask to DescribeTasks saying RUNNING."""
    began = time.perf_counter()
    task = house.run(definition)
    until(lambda: house.task(task)["lastStatus"] == "RUNNING", "RUNNING")
    took = time.perf_counter() - began
    house.ecs.stop_task(task=task)
    house.until_status(task, "STOPPED")
    return took


def through_docker() -> float:
    """Seconds for a bare create and start of the same image, over the same socket."""
    return asyncio.run(_bare())


async def _bare() -> float:
    async with aiodocker.Docker(url=DEFAULT_HOST) as docker:
        await docker.version()
        began = time.perf_counter()
        container = await docker.containers.create({"Image": SAMPLE, "Cmd": SLEEP})
        await container.start()
        took = time.perf_counter() - began
        await container.delete(force=True)
    return took


def spread(values: Sequence[float]) -> str:
    """Median, and the lowest and highest."""
    return f"{statistics.median(values) * 1000:7.0f} ms   ({min(values) * 1000:.0f} to {max(values) * 1000:.0f})"


def main() -> int:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder, sample_image(DEFAULT_HOST):
        began = time.perf_counter()
        with a_house(Path(folder), ECS_CONTAINER_STOP_TIMEOUT="1s") as house:
            ready = time.perf_counter() - began
            idle_agent, idle_plane = pss(house.agent), pss(house.plane)
            definition = house.define("bench", {"name": "app", "image": SAMPLE, "memory": 16, "command": SLEEP})
            through_dockworker(house, definition)
            ours, bare = [], []
            for _ in range(ROUNDS):
                ours.append(through_dockworker(house, definition))
                bare.append(through_docker())
            tasks = [house.run(definition) for _ in range(TASKS)]
            for task in tasks:
                house.until_status(task, "RUNNING")
            print(json.dumps({"commit": commit(), "date": time.strftime("%Y-%m-%d"), "rounds": ROUNDS}))
            print(f"run-task to RUNNING      {spread(ours)}")
            print(f"bare create and start    {spread(bare)}")
            print(f"ratio of the medians     {statistics.median(ours) / statistics.median(bare):7.2f}")
            print(f"both ready after         {ready:7.2f} s")
            print(f"agent, idle              {idle_agent:7.1f} MiB PSS")
            print(f"agent, {TASKS} tasks          {pss(house.agent):7.1f} MiB PSS")
            print(f"control plane, idle      {idle_plane:7.1f} MiB PSS")
    return 0


def commit() -> str:
    """The commit that is measured."""
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return out.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
