"""Tasks that ask for any host port are started while other processes of the host take and leave ports all the time."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.host.facts_driver import PORT_RANGE, read_port_range
from agent.host.rules import ports_beside
from agent.model.identity import Identity
from agent.model.status import Status
from agent.model.task import Task
from tests.bench.plane import a_container
from tests.sample_image import SAMPLE, remove_containers
from tests.stories.raw import RawAgent, a_raw_agent

AT_ONCE = 10
TCP, UDP = {"containerPort": 80, "protocol": "tcp"}, {"containerPort": 53, "protocol": "udp"}


@dataclass(frozen=True)
class Starts:
    """What came of so many starts."""

    failures: tuple[str, ...]
    published: tuple[int, ...]
    tries: int
    """How often another port had to be taken."""


@contextmanager
def churning(first: int, last: int) -> Iterator[None]:
    """Other processes at work on the ports from *first* to *last*."""
    command = [sys.executable, "-m", "tests.faults.churn_sockets", str(first), str(last)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == b"churning\n"
            yield
        finally:
            process.stdin.close()
            process.wait(10)


def ours() -> tuple[int, int]:
    """The ports that an agent on this host gives to tasks that ask for any."""
    return ports_beside(read_port_range(PORT_RANGE))


def publishing(*ports: dict[str, Any]) -> dict[str, Any]:
    app = a_container("app", SAMPLE, ("sleep", "600"), portMappings=list(ports))
    return {"networkMode": "bridge", "containers": [app]}


async def start_one(agent: RawAgent, number: int) -> Task:
    arn = await agent.hear(**publishing(UDP if number % 2 else TCP))
    return await agent.settled(arn)


async def start_many(owner: Identity, folder: Path, docker_host: str, count: int, ports: tuple[int, int]) -> Starts:
    """Start *count* tasks with a port of TCP or UDP each, some at a time, and remove them again."""
    first, last = ports
    done: list[Task] = []
    async with a_raw_agent(owner, folder, first_port=first, last_port=last) as agent:
        for number in range(0, count, AT_ONCE):
            some = range(number, min(number + AT_ONCE, count))
            done += await asyncio.gather(*(start_one(agent, one) for one in some))
            await remove_containers(docker_host, f"dockworker.agent={owner.agent_id}")
    return _starts(done)


def _starts(tasks: Sequence[Task]) -> Starts:
    rows = [task["app"] for task in tasks]
    failures = tuple(row.reason or "ended" for row in rows if row.known is not Status.RUNNING)
    published = tuple(lease.host_port for row in rows for lease in row.leases)
    return Starts(failures, published, sum(row.leases_tried for row in rows))
