"""The disk of the agent's data fills while tasks run.

Promised: a stop, an exit, a restart by policy and their reports go on as ever; new work is refused, and the reason says
so; nothing is acknowledged to ECS that only memory has, so that a kill loses nothing. When there is room again the
agent recovers by itself, with everything that happened meanwhile on the disk.

A policy restarts what has run for its attempt period, of a minute at least: here it is a second (1:60), set in the row.
"""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.small_disk import a_small_disk, empty, fill
from tests.stories.house import House, a_house, containers, until
from tests.stories.test_one_task import sh

pytestmark = pytest.mark.docker

AS_EVER_WITHIN = 5.0
RECOVERED_WITHIN = 5.0
PATIENT = "trap 'exit 143' TERM; while ! test -e /tmp/end; do sleep 0.1; done; exit 5"
POLICY = {"enabled": True, "restartAttemptPeriod": 60}
Record = Callable[[str, object], None]


def begin(house: House, family: str, script: str = PATIENT, **more: object) -> tuple[str, str]:
    """A task that runs, and the id of its container."""
    arn = house.run(house.define(family, sh("app", script, **more)))
    return arn, house.until_status(arn, "RUNNING")["containers"][0]["runtimeId"]


def end(container: str) -> None:
    subprocess.run(["docker", "exec", container, "touch", "/tmp/end"], check=True)


def shorten_period(house: House, disk: Path) -> None:
    house.agent.end(signal.SIGKILL)
    with closing(sqlite3.connect(disk / "agent.db", isolation_level=None)) as journal:
        place = "$.spec.containers[0].restart.attempt_period"
        journal.execute("UPDATE tasks SET row = json_set(row, ?, 1) WHERE json_extract(row, ?)", (place, place))
    house.agent.start()
    house.instance()


def starts_of(container: str) -> str:
    command = ["docker", "inspect", "-f", "{{.State.StartedAt}}", container]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def rows_on_disk(disk: Path) -> dict[str, str]:
    """What the file itself says of each task."""
    with closing(sqlite3.connect(disk / "agent.db")) as journal:
        question = "SELECT arn, json_extract(row, '$.known') FROM tasks"
        return {arn: str(known) for arn, known in journal.execute(question)}


@pytest.mark.usefixtures("sample_image")
def test_while_the_disk_is_full_what_runs_is_served_and_new_work_is_refused(
    tmp_path: Path, record_property: Record
) -> None:
    with a_small_disk(tmp_path / "agent") as disk, a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="2s") as house:
        ends, its_container = begin(house, "ends")
        again, that_container = begin(
            house,
            "again",
            "sleep 0.3; while ! test -e /tmp/end; do sleep 0.1; done; rm /tmp/end; exit 1",
            restartPolicy=POLICY,
        )
        stopped, _ = begin(house, "stopped")
        stays, kept = begin(house, "stays")
        late, _ = begin(house, "late")
        shorten_period(house, disk)
        before = starts_of(that_container)
        fill(disk)

        began = time.monotonic()
        end(its_container)
        assert house.until_stopped(ends)["containers"][0]["exitCode"] == 5
        house.ecs.stop_task(task=stopped)
        assert house.until_stopped(stopped)["containers"][0]["exitCode"] == 143
        end(that_container)
        until(lambda: starts_of(that_container) != before, "the policy to start its container again")
        served = time.monotonic() - began
        refused = house.until_stopped(house.run(house.define("new", sh("app", "exec sleep 600"))))
        assert refused["stoppedReason"].startswith("Disk"), refused["stoppedReason"]
        assert not [one for one in refused["containers"] if one.get("runtimeId")]

        house.agent.end(signal.SIGKILL)
        house.agent.start()
        house.instance()
        house.ecs.stop_task(task=late)
        assert house.until_stopped(late)["containers"][0]["exitCode"] == 143
        assert {house.task(arn)["lastStatus"] for arn in (ends, stopped)} == {"STOPPED"}
        assert {house.task(arn)["lastStatus"] for arn in (stays, again)} == {"RUNNING"}
        assert kept in containers(house)

        began = time.monotonic()
        empty(disk)
        until(lambda: "journal_on_disk_again" in house.agent.log.read_text(), "the disk to be used again")
        recovered = time.monotonic() - began
        after, _ = begin(house, "after")
        house.agent.end(signal.SIGKILL)
        known = rows_on_disk(disk)
        assert {known[arn] for arn in (stays, after)} == {"3"}, known
        house.agent.start()
        house.instance()
        for arn in (stays, again, after):
            house.ecs.stop_task(task=arn)
            house.until_stopped(arn)
        until(lambda: not containers(house), "everything to be stopped")
    record_property("served_on_a_full_disk_seconds", round(served, 2))
    record_property("recovered_after_seconds", round(recovered, 2))
    assert served <= 3 * AS_EVER_WITHIN, f"an exit, a stop and a restart took {served:.2f} s"
    assert recovered <= RECOVERED_WITHIN, f"recovered after {recovered:.2f} s"
