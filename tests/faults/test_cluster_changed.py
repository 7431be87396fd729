"""The cluster is another one in the settings than the one in which this machine is registered.

Promised: a name and the ARN of the same cluster are equal. While tasks live here the agent ends with exit code 5 and
names both clusters and the command to leave. Without any it sets the old identity aside and joins the new cluster.
"""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.house import DOCKWORKER, House, containers, of_agent, standing, until
from tests.stories.test_one_task import sh

pytestmark = pytest.mark.docker


@pytest.fixture
def house(tmp_path: Path, sample_image: str) -> Iterator[House]:
    with standing(House(tmp_path, {"ECS_CONTAINER_STOP_TIMEOUT": "1s"})) as house:
        house.ecs.create_cluster(clusterName="other")
        yield house


def start_in(house: House, cluster: str) -> None:
    house.agent.environ["ECS_CLUSTER"] = cluster
    house.agent.start()


def test_with_tasks_alive_it_ends_and_the_command_that_it_names_leaves_for_good(house: House) -> None:
    arn = house.run(
        house.ecs.register_task_definition(
            family="stays",
            containerDefinitions=[
                sh("app", "exec sleep 600", mountPoints=[{"sourceVolume": "data", "containerPath": "/data"}])
            ],
            volumes=[{"name": "data"}],
        )["taskDefinition"]["taskDefinitionArn"]
    )
    house.until_status(arn, "RUNNING")
    runs, old = containers(house), house.instance()["containerInstanceArn"]
    house.agent.end(signal.SIGTERM)

    start_in(house, "other")
    assert house.agent.process is not None
    assert house.agent.process.wait(timeout=20) == 5
    said = house.agent.log.read_text()
    for words in ("'other'", "'default'", old, "`dockworker leave --force`"):
        assert words in said
    assert containers(house) == runs
    assert house.task(arn)["lastStatus"] == "RUNNING"

    unforced = leave(house)
    assert unforced.returncode == 5
    assert arn in unforced.stdout
    assert containers(house) == runs

    agent = json.loads((house.agent_data / "identity.json").read_text())["identity"]["agent_id"]
    forced = leave(house, "--force")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    for kind in (("ps", "-aq"), ("volume", "ls", "-q")):
        command = ["docker", *kind, "--filter", f"label=dockworker.agent={agent}"]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == ""
    assert house.task(arn)["lastStatus"] == "STOPPED"
    assert house.ecs.list_container_instances()["containerInstanceArns"] == []

    house.agent.start()
    (joined,) = until(lambda: instances(house, "other"), "the instance to be in the other cluster")
    assert joined != old
    assert leave_while_it_runs(house).returncode == 5


def test_an_arn_is_the_same_cluster_and_another_one_is_joined_where_no_task_lives(house: House) -> None:
    arn = house.run(house.define("ends", sh("app", "exec true")))
    house.until_stopped(arn)
    old = house.instance()["containerInstanceArn"]
    house.agent.end(signal.SIGTERM)
    start_in(house, house.ecs.describe_clusters()["clusters"][0]["clusterArn"])
    assert house.instance()["containerInstanceArn"] == old

    was = (house.agent_data / "identity.json").read_bytes()
    left = of_agent(house, "ps", "-aq")
    house.agent.end(signal.SIGTERM)

    start_in(house, "other")

    (joined,) = until(lambda: instances(house, "other"), "the instance to be in the other cluster")
    assert joined != old
    (aside,) = house.agent_data.glob("identity.json.aside-*")
    assert aside.read_bytes() == was
    assert of_agent(house, "ps", "-aq") == left  # the same agent: what it has still to clear away is still its own


def instances(house: House, cluster: str) -> list[str]:
    return house.ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]


def leave(house: House, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*DOCKWORKER, "leave", *words]
    return subprocess.run(
        command, env=dict(house.agent.environ), capture_output=True, text=True, timeout=60, check=False
    )


def leave_while_it_runs(house: House) -> "subprocess.CompletedProcess[str]":
    ended = leave(house, "--force")
    assert house.agent.process is not None
    assert f"process {house.agent.process.pid} holds" in ended.stdout.replace("\n", " ")
    return ended
