"""Docker says nothing any more of what happens: the event stream stands, and not one event passes.

Meanwhile containers are killed and removed by hand. All of it is found, told and acted on within 30 s of agent time;
the agent's listings are four times as frequent here (`tests.faults.hurried`), so within 7.5 s.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from agent.model.names import Image
from tests.faults.docker_front import EVENTS, docker_front
from tests.faults.hurried import HURRIED, LISTINGS
from tests.stories.house import House, standing, until
from tests.stories.test_one_task import sh

Record = Callable[[str, object], None]

FOUND_WITHIN = 30.0 / LISTINGS
POLICY = {"enabled": True, "restartAttemptPeriod": 60}
STAYS = "trap 'exit 4' TERM; sleep 600 & wait"


def test_what_is_done_by_hand_is_found_without_a_single_event(
    tmp_path: Path, docker_host: str, sample_image: Image, record_property: Record
) -> None:
    with docker_front(docker_host, tmp_path) as front:
        front.is_mute = True
        house = House(tmp_path, {"DOCKER_HOST": front.host, "ECS_CONTAINER_STOP_TIMEOUT": "3s"})
        house.agent.command = (*HURRIED, "run")
        with standing(house):
            pair = (sh("main", STAYS), sh("side", STAYS, essential=False))
            killed, removed, side_killed, side_removed = (house.run(house.define(f"pair{n}", *pair)) for n in range(4))
            again = house.run(house.define("again", sh("main", STAYS, restartPolicy=POLICY)))
            ids = {}
            for task in (killed, removed, side_killed, side_removed, again):
                shown = house.until_status(task, "RUNNING")["containers"]
                ids[task] = {one["name"]: one["runtimeId"] for one in shown}
            assert any(line for line in front.heard if EVENTS.removeprefix("^GET \\S*/") in line)
            first_start = started_at(ids[again]["main"])

            began = time.monotonic()
            by_hand("kill", ids[killed]["main"], ids[side_killed]["side"], ids[again]["main"])
            by_hand("rm", "-f", ids[removed]["main"], ids[side_removed]["side"])

            def side_is_told(task: str) -> bool:
                side = next(one for one in house.task(task)["containers"] if one["name"] == "side")
                return side["lastStatus"] == "STOPPED"

            until(lambda: side_is_told(side_killed) and side_is_told(side_removed), "the sides to be told STOPPED")
            until(
                lambda: started_at(ids[again]["main"]) not in (first_start, "not running"), "the policy to be applied"
            )
            ended = {task: house.until_stopped(task) for task in (killed, removed)}
            took = time.monotonic() - began
            record_property("found_seconds", round(took, 2))
            assert took <= FOUND_WITHIN, f"found after {took:.1f} s"

            codes = {one["name"]: one.get("exitCode") for one in ended[killed]["containers"]}
            assert codes == {"main": 137, "side": 4}
            gone = next(one for one in ended[removed]["containers"] if one["name"] == "main")
            assert (gone.get("exitCode"), bool(gone["reason"])) == (None, True)
            for task in (side_killed, side_removed, again):
                assert house.task(task)["lastStatus"] == "RUNNING"
            assert "docker_lost" not in house.agent.log.read_text()


def by_hand(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, capture_output=True)


def started_at(container: str) -> str:
    words = ["docker", "inspect", "-f", "{{if .State.Running}}{{.State.StartedAt}}{{end}}", container]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() or "not running"
