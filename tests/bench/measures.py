"""The measurements. Each interleaves its rounds with the same work done by Docker alone, where there is such work."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import psutil

from tests.bench.plane import a_container, a_task
from tests.bench.stand import Stand, dockerd, seconds_used
from tests.bench.table import Row, at_most, over, within
from tests.sample_image import SAMPLE

ROUNDS = 7
PAIRS = 6
"""How often each is done in a round of what is soon done; of these the median is the round's. Docker's own time for a
stop differs by 20 ms from one to the next, which is more than is to be found."""
BURST = 40
CROWD = 50
WATCHED = 60.0
WATCHED_BARE = 30.0
AFTERMATH = 5.0
"""Seconds in which what the starts left to do is done."""
MIB = 2**20
GRACE = 30
"""Seconds of grace of a stop, the agent's default."""

STAYS = ("sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 3600 & wait")
ENDS_SOON = ("sh", "-c", "sleep 0.5")
HEALTH = {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 500_000_000, "Timeout": 5_000_000_000}}


def _one(arn: str) -> dict[str, Any]:
    return a_task(a_container("app", SAMPLE, STAYS), arn=arn)


async def start_and_stop(stand: Stand) -> AsyncIterator[Row]:
    """A task of one container, and the same container at Docker's own hands."""
    await _ours(stand)  # the first of anything is slower
    body = await _body(stand)
    await _bare(stand, body)
    ours, bare = [], []
    for _ in range(ROUNDS):
        round_of_ours, round_of_bare = [], []
        for number in range(PAIRS):
            if number % 2:
                round_of_ours.append(await _ours(stand))
                round_of_bare.append(await _bare(stand, body))
            else:
                round_of_bare.append(await _bare(stand, body))
                round_of_ours.append(await _ours(stand))
        ours.append(_middle(round_of_ours))
        bare.append(_middle(round_of_bare))
    yield over(
        "start: payload sent to RUNNING submitted", [a for a, _ in ours], [a for a, _ in bare], percent=15, ms=25
    )
    yield over(
        "stop: payload sent to STOPPED submitted", [b for _, b in ours], [b for _, b in bare], percent=None, ms=10
    )


def _middle(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    starts, stops = zip(*times, strict=True)
    return statistics.median(starts), statistics.median(stops)


async def _ours(stand: Stand) -> tuple[float, float]:
    task = stand.new_task()
    began = await stand.plane.send(_one(task))
    running = await stand.plane.until_told(task, "RUNNING")
    docker_id = stand.plane.runtime_id(task, "app")
    await stand.until_says_ready(docker_id)
    asked = await stand.plane.send({"arn": task, "desiredStatus": "STOPPED"})
    stopped = await stand.plane.until_told(task, "STOPPED")
    await stand.remove([docker_id])
    return running.at - began, stopped.at - asked


async def _bare(stand: Stand, body: dict[str, Any]) -> tuple[float, float]:
    began = time.perf_counter()
    container = await stand.docker.containers.create(body)
    await container.start()
    started = time.perf_counter() - began
    await stand.until_says_ready(container.id)
    began = time.perf_counter()
    await container.stop(t=GRACE)
    stopped = time.perf_counter() - began
    await stand.remove([container.id])
    return started, stopped


async def _body(stand: Stand) -> dict[str, Any]:
    """The body that Docker needs to make what the agent makes of the task."""
    task = stand.new_task()
    await stand.plane.send(_one(task))
    await stand.plane.until_told(task, "RUNNING")
    body = await stand.bare_body(stand.plane.runtime_id(task, "app"))
    await stand.end_tasks([task])
    return body


async def edges(stand: Stand) -> AsyncIterator[Row]:
    """From Docker's event to the create request of the container that waited for it."""
    started, completed, healthy = [], [], []
    for _ in range(ROUNDS):
        task = stand.new_task()
        await stand.plane.send(
            a_task(
                a_container("first", SAMPLE, ENDS_SOON, essential=False),
                _after("first", "START", "started"),
                _after("first", "COMPLETE", "completed"),
                arn=task,
            )
        )
        await stand.plane.until_told(task, "RUNNING")
        started.append(await _edge(stand, task, "start", "first", "started"))
        completed.append(await _edge(stand, task, "die", "first", "completed"))
        await stand.end_tasks([task])
        task = stand.new_task()
        config = {"version": "1.24", "config": json.dumps(HEALTH), "hostConfig": "{}"}
        checked = a_container("checked", SAMPLE, STAYS, dockerConfig=config, healthCheckType="docker")
        await stand.plane.send(a_task(checked, _after("checked", "HEALTHY", "after"), arn=task))
        await stand.plane.until_told(task, "RUNNING")
        healthy.append(await _edge(stand, task, "health_status: healthy", "checked", "after"))
        await stand.end_tasks([task])
    yield within("dependency COMPLETE: die to create request", completed, 100)
    yield within("dependency START: start to create request", started, 100)
    yield within("dependency HEALTHY: healthy to create request", healthy, 100)


def _after(first: str, condition: str, name: str) -> dict[str, Any]:
    return a_container(name, SAMPLE, STAYS, dependsOn=[{"containerName": first, "condition": condition}])


async def _edge(stand: Stand, task: str, action: str, first: str, second: str) -> float:
    happened = await stand.until_event(action, task, first)
    made = await stand.until_event("create", task, second)
    return await stand.created_at(made.docker_id) - happened.at


async def exits(stand: Stand) -> AsyncIterator[Row]:
    """From Docker's event to the report of a container whose end does not end its task."""
    took = []
    for _ in range(ROUNDS):
        task = stand.new_task()
        side = a_container("side", SAMPLE, ("sh", "-c", "sleep 1"), essential=False)
        await stand.plane.send(a_task(a_container("app", SAMPLE, STAYS), side, arn=task))
        await stand.plane.until_told(task, "RUNNING")
        told = await stand.plane.until_container_told(task, "side", "STOPPED")
        took.append(told.at - (await stand.until_event("die", task, "side")).at)
        await stand.end_tasks([task])
    yield within("exit of a non-essential container to its report", took, 300)


async def bursts(stand: Stand) -> AsyncIterator[Row]:
    """Forty tasks at once, and forty containers at once."""
    body = await _body(stand)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(ROUNDS):
        turns: Sequence[tuple[list[float], Callable[[], Awaitable[float]]]] = (
            (bare, lambda: _bare_burst(stand, body)),
            (ours, lambda: _burst(stand)),
        )
        for samples, measure in turns if number % 2 else reversed(turns):
            samples.append(await measure())
    yield over(f"burst of {BURST}: payloads sent to last RUNNING", ours, bare, percent=5, ms=None)


async def _burst(stand: Stand) -> float:
    tasks = [stand.new_task() for _ in range(BURST)]
    began = await stand.plane.send(*map(_one, tasks))
    running = [await stand.plane.until_told(task, "RUNNING") for task in tasks]
    await stand.end_tasks(tasks)
    return max(report.at for report in running) - began


async def _bare_burst(stand: Stand, body: dict[str, Any]) -> float:
    async def one() -> str:
        container = await stand.docker.containers.create(body)
        await container.start()
        return container.id

    began = time.perf_counter()
    made = await asyncio.gather(*(one() for _ in range(BURST)))
    took = time.perf_counter() - began
    await stand.remove(made)
    return took


async def crowd(stand: Stand) -> AsyncIterator[Row]:
    """What it costs that nothing happens, with many containers."""
    idle = _pss(stand)
    tasks = [stand.new_task() for _ in range(CROWD)]
    await stand.plane.send(*map(_one, tasks))
    for task in tasks:
        await stand.plane.until_told(task, "RUNNING")
    await asyncio.sleep(AFTERMATH)
    engine, agent = dockerd(), stand.process
    by_agent, by_engine = await _used(WATCHED, agent, engine)
    full = _pss(stand)
    await stand.stop_agent()
    await asyncio.sleep(AFTERMATH)
    (by_bare_engine,) = await _used(WATCHED_BARE, engine)
    stand.start_agent()
    await stand.plane.until_connected()
    await stand.end_tasks(tasks)
    yield at_most("memory of the agent, idle", idle, 55, "MiB", "PSS")
    yield at_most(f"memory of the agent, {CROWD} containers", full, 55, "MiB", "PSS")
    beside = f"agent {by_agent:.2f}, dockerd {by_engine:.2f}; dockerd without the agent {by_bare_engine:.2f}"
    yield at_most(f"processor, {CROWD} containers, {WATCHED:g} s", by_agent + by_engine, 2, "% of a core", beside)


def _pss(stand: Stand) -> float:
    return float(stand.process.memory_full_info().pss) / MIB


async def _used(seconds: float, *processes: psutil.Process) -> list[float]:
    """Percent of a core that each of *processes* uses over *seconds*."""
    before, began = [seconds_used(one) for one in processes], time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    return [100 * (seconds_used(one) - used) / took for one, used in zip(processes, before, strict=True)]


MEASURES: dict[str, Callable[[Stand], AsyncIterator[Row]]] = {
    "start": start_and_stop,
    "edges": edges,
    "exits": exits,
    "bursts": bursts,
    "crowd": crowd,
}
