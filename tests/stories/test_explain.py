"""``dockworker explain`` beside an agent that runs."""

import json
import subprocess
from pathlib import Path

from tests.stories.house import DOCKWORKER, House, clean_environment
from tests.stories.test_one_task import sh


def explain(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*DOCKWORKER, "explain", *map(str, words)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)


def test_a_task_that_runs_is_explained_to_people_and_to_programs(house: House) -> None:
    environment = [{"name": "PASSWORD", "value": "PLANTED-PASSWORD"}]
    task = house.run(house.define("explained", sh("app", "exec sleep 600", environment=environment)))
    house.until_status(task, "RUNNING")
    (container,) = house.task(task)["containers"]

    read = explain(task[-32:][:12], "--data-dir", house.agent_data)
    assert read.returncode == 0, read.stderr
    assert read.stdout.splitlines()[0] == "explained:1 is RUNNING"
    assert "essential container app is RUNNING" in read.stdout
    assert container["runtimeId"][:12] in read.stdout
    for step in ("arrived", "admitted", "pull ended", "app created", "app started", "to be told to ECS: task RUNNING"):
        assert step in read.stdout
    assert "\x1b" not in read.stdout

    parsed = json.loads(explain(task, "--json", "--data-dir", house.agent_data).stdout)
    assert (parsed["taskArn"], parsed["known"]) == (task, "RUNNING")
    assert "PLANTED" not in read.stdout + json.dumps(parsed) + house.agent.log.read_text()
    house.ecs.stop_task(task=task)
    house.until_status(task, "STOPPED")


def test_the_end_of_a_task_is_explained_with_its_exit_code(house: House) -> None:
    task = house.run(house.define("ends", sh("app", "exit 7")))
    house.until_status(task, "STOPPED")
    read = explain(task, "--data-dir", house.agent_data)
    assert "essential container app is STOPPED, exit code 7" in read.stdout
    assert "app finished" in read.stdout


def test_a_task_that_nobody_knows_is_an_error(house: House) -> None:
    read = explain("nobody", "--data-dir", house.agent_data)
    assert (read.returncode, read.stdout) == (1, "")
    assert "nobody: this agent knows no such task" in read.stderr


def test_what_can_be_no_name_of_a_task_is_an_error(house: House) -> None:
    for words in ("", "/", "x" * 20000):
        read = explain(words, "--data-dir", house.agent_data)
        assert (read.returncode, read.stdout) == (1, "")
        assert "Traceback" not in read.stderr
        assert "no task" in read.stderr or "no such task" in read.stderr


def test_an_agent_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    read = explain("nobody", "--data-dir", tmp_path)
    assert (read.returncode, read.stdout) == (1, "")
    assert "no agent answers" in read.stderr
