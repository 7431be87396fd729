"""``python -m tests.faults.hurried run``: the agent with two of its times shortened.

A restart policy's attempt period is a sixtieth (60 s, the shortest that ECS takes, become 1 s), and Docker is listed
four times as often (every 5 s for 20 s).
"""

import sys
from dataclasses import replace
from datetime import datetime

from agent.__main__ import main
from agent.engine import restarts
from agent.model.task import Container, ContainerSpec
from agent.runner import watch_loop

ATTEMPT_PERIODS = 60
LISTINGS = 4
HURRIED = (sys.executable, "-m", "tests.faults.hurried")

_covers = restarts.covers


def covers(spec: ContainerSpec, before: Container, after: Container, at: datetime) -> bool:
    """As the policy says, of a shorter period."""
    policy = spec.restart
    if policy is not None:
        spec = replace(spec, restart=replace(policy, attempt_period=policy.attempt_period / ATTEMPT_PERIODS))
    return _covers(spec, before, after, at)


if __name__ == "__main__":
    restarts.covers = covers
    watch_loop.LIST_EVERY /= LISTINGS
    main()
