"""``make soak``: what takes too long for every change. Many generated graphs and histories, and many kills.

``python -m tests.soak kills`` does these alone. Ends with 1 if anything failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.docker.engine_driver import DEFAULT_HOST
from tests.bench.table import commit
from tests.sample_image import sample_image
from tests.soak.kills import KILLS, kill_for_a_while

GRAPHS = 10_000
HISTORIES = 20_000
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


def histories() -> Outcome:
    """Histories with crashes, lost answers and lost journals."""
    return generated("histories of the engine", HISTORIES, "DOCKWORKER_HISTORIES", "tests/engine/test_histories.py")


def kills() -> Outcome:
    """Kills of the agent while tasks start, run and stop on real Docker."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sample_image(DEFAULT_HOST):
        try:
            tally, trouble = kill_for_a_while(Path(folder), KILLS), ""
        except AssertionError as error:
            tally, trouble = "", str(error)[-SHOWN:] or "an assertion without words"
    return Outcome("kill -9 of the agent", f"{KILLS} kills{tally}", time.monotonic() - began, trouble)


KINDS: dict[str, Callable[[], Outcome]] = {"graphs": graphs, "histories": histories, "kills": kills}


def line(outcome: Outcome) -> str:
    """A line of the table."""
    verdict = "FAILED" if outcome.trouble else "holds"
    return f"{outcome.name:<24}{outcome.amount:<56}{outcome.took:6.0f} s   {verdict}"


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
    outcomes = []
    for name in asked or KINDS:
        sys.stderr.write(f"soaking {name} ...\n")
        outcomes.append(KINDS[name]())
    sys.stdout.write("\n".join([head, *map(line, outcomes), *map(story, outcomes)]).rstrip() + "\n")
    return 1 if any(outcome.trouble for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
