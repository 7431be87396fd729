"""``make soak``: what takes too long for every change. Generated graphs and histories, kills, churn of many kinds.

``python -m tests.soak kills`` does these alone. Ends with 1 if anything failed.
"""

import argparse
import asyncio
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.docker.engine_driver import DEFAULT_HOST
from agent.model.identity import Identity
from tests.bench.table import commit
from tests.faults import drains as draining
from tests.faults import waiting
from tests.faults.front import a_house_behind_a_front
from tests.faults.hangs import ENDS, all_calls_hang
from tests.faults.kills import kill_for_a_while
from tests.faults.ports import churning, ours, start_many
from tests.faults.test_registration import lose_answers
from tests.sample_image import sample_image

GRAPHS = 10_000
HANG = 60.0
"""Seconds in which no call to Docker is answered."""
HISTORIES = 20_000
REPORTS = 1_000
KILLS = 200
ROUNDS = 200
CHURN, MIB_GROWN = 10_000, 10
STARTS = 1000
LOST_ANSWERS = 20
DRAINS = 100
SHOWN = 4000
"""Characters of what went wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one kind of soaking."""

    name: str
    amount: str
    took: float
    trouble: str = ""


def generated(name: str, count: int, variable: str, path: str) -> Outcome:
    """Run the tests in *path* with *count* examples."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--timeout=0", "-p", "no:cacheprovider", path],
        env={**os.environ, variable: str(count)},
        capture_output=True,
        text=True,
        check=False,
    )
    trouble = "" if done.returncode == 0 else (done.stdout + done.stderr)[-SHOWN:]
    return Outcome(name, f"{count:,}", time.monotonic() - began, trouble)


def graphs() -> Outcome:
    """Dependency graphs: none is stuck, and all stop in reverse order."""
    return generated("dependency graphs", GRAPHS, "DOCKWORKER_GRAPHS", "tests/engine/test_graphs.py")


def reports() -> Outcome:
    """Reports to an ECS that loses calls and answers, from a process that is killed."""
    return generated("reports to a lossy ECS", REPORTS, "DOCKWORKER_REPORTS", "tests/faults/test_reports.py")


def histories() -> Outcome:
    """Histories with crashes, lost answers and lost journals."""
    return generated("histories of the engine", HISTORIES, "DOCKWORKER_HISTORIES", "tests/engine/test_histories.py")


def kills() -> Outcome:
    """Kills of the agent while tasks start, run and stop on real Docker."""
    with sample_image(DEFAULT_HOST):
        return timed("kill -9 of the agent", f"{KILLS} kills", lambda folder: str(kill_for_a_while(folder, KILLS)))


def stops() -> Outcome:
    """Small tasks beside a stop that takes minutes and a large task that waits for it."""

    def play(folder: Path) -> str:
        rounds = waiting.play(folder, ROUNDS)
        return f"small ones within {max(one.small for one in rounds):.2f} s"

    return timed("a stop blocks nobody", f"{ROUNDS} rounds", play)


def silence() -> Outcome:
    """A wire that swallows everything, noticed in the agent's own time; the short form has a twentieth of it."""
    return generated("a wire that swallows everything", 1, "DOCKWORKER_FASTER", "tests/faults/test_acs_drops.py")


def hangs() -> Outcome:
    """All calls to Docker hang for a minute, and end in each way that there is."""

    def play(folder: Path) -> str:
        shown = []
        with sample_image(DEFAULT_HOST):
            for number, end in enumerate(ENDS):
                (own := folder / str(number)).mkdir()
                shown.append(f"{end} {all_calls_hang(own, DEFAULT_HOST, end, HANG).recovered:.1f} s")
        return ", ".join(shown)

    return timed("all of Docker hangs", f"{HANG:g} s", play)


def churn() -> Outcome:
    """Tasks that come and go, and what the agent keeps of them."""

    def play(folder: Path) -> str:
        command = [sys.executable, "-m", "tests.faults.churner", str(CHURN), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout.splitlines()[-1])
        before, after = shown["before"], shown["after"]
        grown = (after["bytes"] - before["bytes"]) / 2**20
        assert grown <= MIB_GROWN, f"grew by {grown:.1f} MiB: {shown}"
        same = ("descriptors", "jobs")
        assert [after[name] for name in same] == [before[name] for name in same], shown
        assert after["rows"] == 0, shown
        return f"{grown:+.1f} MiB"

    return timed("tasks come and go", f"{CHURN:,} tasks", play)


def ports() -> Outcome:
    """Starts with a host port of the agent's choice while other processes churn sockets."""

    def play(folder: Path) -> str:
        owner = Identity(agent_id=secrets.token_hex(8), cluster="tests", instance_arn="soak")
        first, last = ours()
        with sample_image(DEFAULT_HOST), churning(first, last):
            done = asyncio.run(start_many(owner, folder, DEFAULT_HOST, STARTS, (first, last)))
        assert done.failures == (), done.failures
        return f"{done.tries} other ports taken"

    return timed("ports in a busy host", f"{STARTS:,} starts", play)


def drains() -> Outcome:
    """The agent is told to stop, drains its instance, and is started again."""

    def play(folder: Path) -> str:
        with sample_image(DEFAULT_HOST):
            rounds = draining.play(folder, DRAINS)
        return f"0 ends untold, gone within {max(rounds):.1f} s"

    return timed("drained when told to stop", f"{DRAINS} rounds", play)


def registrations() -> Outcome:
    """The answers to registrations are lost, and the agent is killed in between."""

    def play(folder: Path) -> str:
        with sample_image(DEFAULT_HOST), a_house_behind_a_front(folder) as (house, front):
            starts = lose_answers(house, front, LOST_ANSWERS)
            instances = house.ecs.list_container_instances()["containerInstanceArns"]
            assert len(instances) == 1, instances
        return f"{starts} starts, one instance"

    return timed("registrations not answered", f"{LOST_ANSWERS} answers", play)


def timed(name: str, amount: str, play: Callable[[Path], str]) -> Outcome:
    """What came of *play*, which is given a folder of its own and fails by assertion, or by a wait that is too long."""
    began = time.monotonic()
    told, trouble = "", ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            told = play(Path(folder))
        except (AssertionError, ExceptionGroup, TimeoutError) as error:
            trouble = "".join(traceback.format_exception(error))[-SHOWN:]
    return Outcome(name, f"{amount}, {told}" if told else amount, time.monotonic() - began, trouble)


KINDS: dict[str, Callable[[], Outcome]] = {
    "graphs": graphs,
    "histories": histories,
    "reports": reports,
    "kills": kills,
    "stops": stops,
    "silence": silence,
    "hangs": hangs,
    "churn": churn,
    "ports": ports,
    "drains": drains,
    "registrations": registrations,
}


def line(outcome: Outcome) -> str:
    """A line of the table."""
    verdict = "FAILED" if outcome.trouble else "holds"
    return f"{outcome.name:<24}{outcome.amount:<100}{outcome.took:6.0f} s   {verdict}"


def story(outcome: Outcome) -> str:
    """What went wrong, if anything did."""
    return f"\n---- {outcome.name}\n{outcome.trouble}" if outcome.trouble else ""


def main() -> int:
    """Soak, and print a table."""
    parser = argparse.ArgumentParser(prog="tests.soak", description="What takes too long for every change.")
    parser.add_argument("kinds", nargs="*", help=f"any of {', '.join(KINDS)}; all without a name")
    asked = parser.parse_args().kinds
    if unknown := set(asked) - set(KINDS):
        parser.error(f"there is no kind {', '.join(sorted(unknown))}")
    head = f"commit {commit()}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, {os.cpu_count()} processors"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    outcomes = []
    for name in asked or KINDS:
        sys.stderr.write(f"soaking {name} ...\n")
        outcomes.append(KINDS[name]())
    sys.stdout.write("\n".join([head, *map(line, outcomes), *map(story, outcomes)]).rstrip() + "\n")
    return 1 if any(outcome.trouble for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
