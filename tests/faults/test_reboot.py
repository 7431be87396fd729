"""The host is started anew: agent, dockerd, containerd and every container are killed at once, and all come back.

What a reboot forgets is forgotten: cgroups of tasks, mounts, the state of containerd. The agent comes first, Docker
later. Attempt periods of restart policies are a sixtieth (`tests.faults.hurried`).
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from agent.host.cgroup_driver import ROOT
from tests.faults.hurried import HURRIED
from tests.faults.own_engine import OwnEngine, own_engine
from tests.stories.house import House, standing, until
from tests.stories.test_one_task import sh

Record = Callable[[str, object], None]

STAYS = "exec sleep 600"
TOLD_WITHIN = 5.0


def test_every_task_is_told_once_and_policies_bring_back_what_they_cover(
    tmp_path: Path, record_property: Record
) -> None:
    with own_engine() as engine:
        house = House(tmp_path, {"DOCKER_HOST": engine.host, "ECS_CONTAINER_STOP_TIMEOUT": "3s"})
        house.agent.command = (*HURRIED, "run")
        with standing(house):
            policy = {"enabled": True, "restartAttemptPeriod": 60}
            house.ecs.register_task_definition(
                family="again", memory="64", containerDefinitions=[sh("app", STAYS, restartPolicy=policy)]
            )
            again = house.run("again")
            pairs = [house.run(house.define("pair", sh("one", STAYS), sh("two", STAYS))) for _ in range(3)]
            runtime = house.until_status(again, "RUNNING")["containers"][0]["runtimeId"]
            for task in pairs:
                house.until_status(task, "RUNNING")
            arn = house.instance()["containerInstanceArn"]
            assert memory_limit(again) == 64 << 20
            first_run = started_at(engine, runtime)
            made = len(engine.docker("ps", "-aq").split())

            house.agent.end(signal.SIGKILL)
            engine.power_cut()
            for task in (again, *pairs):
                forget_cgroups(task)
            house.agent.start()
            engine.start_containerd()
            engine.start_dockerd(wait=False)
            answered = engine.wait_until_it_answers()

            ended = [house.until_stopped(task) for task in pairs]
            until(lambda: started_at(engine, runtime) not in ("", first_run), "the policy to be applied")
            took = time.monotonic() - answered
            record_property("told_seconds", round(took, 2))
            assert took <= TOLD_WITHIN, f"told {took:.1f} s after Docker answered"
            for one in ended:
                assert [container["exitCode"] for container in one["containers"]] == [255, 255]
                assert times_stopped(house, one["taskArn"]) == 1
            assert house.task(again)["lastStatus"] == "RUNNING"
            assert house.task(again)["containers"][0]["runtimeId"] == runtime
            assert (task_cgroup(again) / runtime / "cgroup.procs").read_text().split(), "it runs outside its cgroup"
            assert memory_limit(again) == 64 << 20
            assert house.instance()["containerInstanceArn"] == arn
            assert len(house.ecs.list_container_instances()["containerInstanceArns"]) == 1
            assert len(engine.docker("ps", "-aq").split()) == made
            house.until_status(house.run(house.define("next", sh("app", STAYS))), "RUNNING")


def task_cgroup(task: str) -> Path:
    task_id = task.rpartition("/")[2]
    if (ROOT / "cgroup.controllers").exists():
        return ROOT / f"ecstasks-{task_id}.slice"
    return ROOT / "memory" / "ecs" / task_id


def memory_limit(task: str) -> int:
    cgroup = task_cgroup(task)
    files = (cgroup / "memory.max", cgroup / "memory.limit_in_bytes")
    return int(next(one for one in files if one.exists()).read_text())


def forget_cgroups(task: str) -> None:
    """Remove the task's cgroups, as nothing of them is left after a reboot."""
    task_id = task.rpartition("/")[2]
    tops = [ROOT / f"ecstasks-{task_id}.slice", *(one / "ecs" / task_id for one in ROOT.iterdir())]
    for top in tops:
        for folder in (*(one for one in top.rglob("*") if one.is_dir()), top):
            if folder.is_dir():
                until(lambda folder=folder: removed(folder), f"{folder} to be free of processes")  # type: ignore[misc]


def removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def started_at(engine: OwnEngine, container: str) -> str:
    shows = "{{if .State.Running}}{{.State.StartedAt}}{{end}}"
    return engine.docker("inspect", "-f", shows, container).strip()


def times_stopped(house: House, task: str) -> int:
    """How often the agent has decided that the task as a whole is STOPPED, over all its lives."""
    return house.agent.log.read_text().count(f"{task.rpartition('/')[2][:8]} RUNNING->STOPPED")
