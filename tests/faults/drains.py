"""Drain, stop, start again: round after round, and ECS knows of every end before the agent is gone."""

import signal
import time
from pathlib import Path

from tests.faults.test_drain import a_draining_house, a_task, gone, status
from tests.stories.house import containers, until

QUICK = "trap 'exit 3' TERM; while :; do sleep 0.1; done"
TASKS = 3


def play(folder: Path, rounds: int) -> list[float]:
    """Seconds from SIGTERM to the end, of each round."""
    took = []
    with a_draining_house(folder, "all", 30) as (house, _):
        for _ in range(rounds):
            until(lambda: status(house) == "ACTIVE", "the instance to be ACTIVE")
            house.instance()
            tasks = [a_task(house, QUICK, "shop" if number == 0 else "") for number in range(TASKS)]
            assert house.agent.process
            began = time.monotonic()
            house.agent.process.send_signal(signal.SIGTERM)
            gone(house)
            took.append(time.monotonic() - began)
            ends = [house.task(arn) for arn in tasks]
            told = [(end["lastStatus"], end["containers"][0].get("exitCode")) for end in ends]
            assert told == [("STOPPED", 3)] * TASKS, f"round {len(took)}: {told}"
            assert (status(house), containers(house)) == ("DRAINING", [])
            house.agent.start()
    return took
