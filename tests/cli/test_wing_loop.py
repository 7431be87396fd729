import asyncio
import threading

import pytest

from agent.cli.wing_loop import Ready, Wing

PATIENCE = 10


def test_a_wing_serves_in_a_thread_of_its_own_until_told_to_stop() -> None:
    async def serve(told_to_stop: asyncio.Event, ready: Ready) -> int:
        ready(threading.current_thread().name)
        await told_to_stop.wait()
        return 0

    wing = Wing("agent", serve)
    wing.start()

    assert wing.ready.result(PATIENCE) == "agent"
    assert not wing.ended.done()

    wing.stop()

    assert wing.ended.result(PATIENCE) == 0


def test_a_wing_that_dies_of_a_bug_is_started_again_and_its_neighbour_is_not() -> None:
    agents, planes = [0], [0]

    async def breaking(told_to_stop: asyncio.Event, ready: Ready) -> int:
        agents[0] += 1
        if agents[0] < 3:
            raise ZeroDivisionError("a bug")
        ready("third life")
        await told_to_stop.wait()
        return 0

    async def steady(told_to_stop: asyncio.Event, ready: Ready) -> int:
        planes[0] += 1
        ready("first life")
        await told_to_stop.wait()
        return 0

    agent, plane = Wing("agent", breaking, first_wait=0.001), Wing("controlplane", steady)
    plane.start()
    agent.start()

    assert (plane.ready.result(PATIENCE), agent.ready.result(PATIENCE)) == ("first life", "third life")
    assert "a bug" in agent.last_words

    for wing in (agent, plane):
        wing.stop()

    assert [agent.ended.result(PATIENCE), plane.ended.result(PATIENCE)] == [0, 0]
    assert (agents, planes) == ([3], [1])


def test_a_wing_that_ends_with_one_is_started_again_and_one_that_ends_with_five_is_not() -> None:
    codes = [1, 1, 5]

    async def serve(_told_to_stop: asyncio.Event, _ready: Ready) -> int:
        return codes.pop(0)

    wing = Wing("agent", serve, first_wait=0.001)
    wing.start()

    assert wing.ended.result(PATIENCE) == 5
    assert codes == []


@pytest.mark.parametrize("waits", ["between lives", "before the first"])
def test_a_wing_can_be_stopped_when_it_is_not_alive(waits: str) -> None:
    died = threading.Event()

    async def serve(_told_to_stop: asyncio.Event, _ready: Ready) -> int:
        died.set()
        return 1

    wing = Wing("agent", serve, first_wait=3600)
    if waits == "between lives":
        wing.start()
        assert died.wait(PATIENCE)
        wing.stop()
    else:
        wing.stop()
        wing.start()

    assert wing.ended.result(PATIENCE) in (0, 1)
