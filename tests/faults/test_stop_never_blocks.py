"""A stop that takes minutes blocks nobody who has room.

One task stops gracefully and holds half the memory; a large task waits for it; twenty small ones arrive. On Docker the
task stops until a file appears in its container, and the twenty are held to the time of twenty without all that.
"""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.model.identity import Identity
from agent.model.names import Image, TaskArn
from agent.model.status import Status
from tests.bench.plane import a_container
from tests.faults import waiting
from tests.faults.waiting import HALF, MEMORY, MINUTES, SMALL
from tests.sample_image import SAMPLE, remove_containers
from tests.stories.raw import RawAgent, a_raw_agent

ROUNDS = 25
"""Of two hundred (`make soak`)."""
SMALL_WITHIN, TIMES_BARE = 5.0, 1.5
LARGE_WITHIN = 2.0
UNTIL_TOLD = "trap ':' TERM; while ! test -e /tmp/end; do sleep 0.05; done"
"""Hears the signal, and goes on with its work."""


def a_raw_task(memory: int, script: str = "exec sleep 600", **more: object) -> dict[str, Any]:
    app = a_container("app", SAMPLE, ("sh", "-c", script), memory=memory, **more)
    return {"networkMode": "bridge", "containers": [app]}


async def until_running(agent: RawAgent, *tasks: TaskArn) -> None:
    async with asyncio.timeout(60), agent.changed:
        await agent.changed.wait_for(
            lambda: all(agent.engine.tasks[task]["app"].known is Status.RUNNING for task in tasks)
        )


async def start_the_small(agent: RawAgent) -> float:
    """Seconds until all of them run."""
    began = time.monotonic()
    small = [await agent.hear(**a_raw_task(8)) for _ in range(SMALL)]
    await until_running(agent, *small)
    return time.monotonic() - began


async def measure(owner: Identity, folder: Path, docker_host: str) -> tuple[float, float, float]:
    """How long twenty took alone, how long beside a stop and a large task, and the large one after the release."""
    async with a_raw_agent(owner, folder, memory=MEMORY) as agent:
        bare = await start_the_small(agent)
        await remove_containers(docker_host, f"dockworker.agent={owner.agent_id}")
        stops = await agent.hear(**a_raw_task(HALF, f"echo ready; {UNTIL_TOLD}", stopTimeout=MINUTES))
        await until_running(agent, stops)
        await agent.hear(arn=stops, desiredStatus="STOPPED")
        large = await agent.hear(**a_raw_task(HALF + 100))
        beside = await start_the_small(agent)
        assert agent.engine.tasks[large].admitted is None
        assert agent.engine.tasks[stops]["app"].known is Status.RUNNING
        held = str(agent.engine.tasks[stops]["app"].docker_id)
        await asyncio.to_thread(subprocess.run, ["docker", "exec", held, "touch", "/tmp/end"], check=True)
        released = time.monotonic()
        await until_running(agent, large)
        return bare, beside, time.monotonic() - released


def test_on_docker_twenty_small_tasks_pass_a_stop_and_a_large_task_that_waits_for_it(
    tmp_path: Path,
    owner: Identity,
    docker_host: str,
    sample_image: Image,
    record_property: Callable[[str, object], None],
) -> None:
    bare, beside, large = asyncio.run(measure(owner, tmp_path, docker_host))
    told = f"twenty alone {bare:.2f} s, beside the stop {beside:.2f} s; the large one {large:.2f} s after the release"
    record_property("stop never blocks", told)
    assert beside <= max(SMALL_WITHIN, TIMES_BARE * bare), told
    assert large <= LARGE_WITHIN, told


def test_in_every_round_on_the_docker_in_memory_the_small_ones_pass_and_the_large_one_is_next(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rounds = waiting.play(tmp_path, ROUNDS)
    small, large = max(one.small for one in rounds), max(one.large for one in rounds)
    record_property("slowest of the rounds", f"small {small:.2f} s, large {large:.2f} s")
    assert small <= SMALL_WITHIN
    assert large <= LARGE_WITHIN
