"""What those who watch a machine are told of a real task, beside what Docker says of it."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.model.names import Image
from tests.stories.house import House, a_house, free_port, until
from tests.stories.test_one_task import sh

pytestmark = pytest.mark.docker


class Watched:
    """A house whose agent answers those who watch it."""

    def __init__(self, house: House, port: int) -> None:
        self.house = house
        self.port = port

    def get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def told(self, path: str) -> Any:  # noqa: ANN401 -- JSON
        return json.loads(self.get(path)[1])

    def figures(self) -> dict[str, float]:
        """The lines of the page of metrics by name and the values of their labels."""
        read: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
        found = (one for family in read(self.get("/metrics")[1]) for one in family.samples)
        return {" ".join((one.name, *one.labels.values())): one.value for one in found}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, sample_image: Image) -> Iterator[Watched]:
    port, tasks = free_port(), free_port()
    folder: Path = tmp_path_factory.mktemp("house")
    settings = {"DOCKWORKER_HEALTH_ADDRESS": f"127.0.0.1:{port}", "DOCKWORKER_TASK_ADDRESS": f"127.0.0.1:{tasks}"}
    settings |= {"DOCKWORKER_TASK_REDIRECT": "false", "ECS_CONTAINER_STOP_TIMEOUT": "2s"}
    with a_house(folder, **settings) as house:
        yield Watched(house, port)


def test_a_task_is_shown_as_docker_has_it_and_its_life_is_counted(watched: Watched) -> None:
    house = watched.house
    before = watched.figures()
    arn = house.run(
        house.define("watched", sh("app", "trap 'exit 0' TERM; sleep 600 & wait", portMappings=[{"containerPort": 80}]))
    )
    house.until_status(arn, "RUNNING")
    shown = watched.told(f"/v1/tasks?taskarn={arn}")
    (container,) = shown["Containers"]
    by_docker = json.loads(
        subprocess.run(["docker", "inspect", container["DockerId"]], check=True, capture_output=True, text=True).stdout
    )[0]

    assert (shown["Arn"], shown["KnownStatus"], shown["Family"]) == (arn, "RUNNING", "watched")
    assert container["DockerName"] == by_docker["Name"].removeprefix("/")
    assert container["ImageID"] == by_docker["Image"]
    assert container["StartedAt"] == by_docker["State"]["StartedAt"]
    (published,) = {one["HostPort"] for one in by_docker["NetworkSettings"]["Ports"]["80/tcp"]}
    assert container["Ports"][0]["HostPort"] == int(published)
    assert watched.told(f"/v1/tasks?dockerid={container['DockerId'][:8]}") == shown
    assert watched.told("/v1/tasks") == {"Tasks": [shown]}
    assert watched.told("/v1/metadata")["ContainerInstanceArn"] == house.instance()["containerInstanceArn"]

    running = watched.figures()
    assert running["dockworker_tasks running"] == 1
    house.ecs.stop_task(task=arn)
    house.until_stopped(arn)
    after = watched.figures()
    for name in (
        "dockworker_tasks_assigned_total",
        "dockworker_tasks_stopped_total running",
        "dockworker_task_start_seconds_count",
        "dockworker_container_create_seconds_count",
        "dockworker_container_start_seconds_count",
        "dockworker_container_stop_seconds_count",
        "dockworker_pull_seconds_count cache",
        "dockworker_acts_total stop_container done",
    ):
        assert after[name] - before[name] == 1, name
    assert 0 < running["dockworker_container_start_seconds_sum"] < 60
    until(lambda: watched.figures()["dockworker_outbox_depth"] == 0, "ECS to have taken every report")
    assert watched.figures()["dockworker_report_answers_total settled"] >= 2


def test_an_agent_that_is_well_says_so_everywhere(watched: Watched) -> None:
    figures = watched.figures()

    assert watched.get("/health/live") == (200, json.dumps({"decisions": {"ok": True}, "live": True}))
    assert watched.get("/health/ready")[0] == 200
    assert figures["dockworker_ready"] == figures["dockworker_docker_up"] == figures["dockworker_acs_connected"] == 1
    assert figures["dockworker_acs_connections_total"] == 1
    assert figures["dockworker_docker_calls_total"] > 0
    assert figures["dockworker_journal_commits_total"] > 0
    assert figures["dockworker_loop_lag_seconds_count"] > 0
    assert figures["process_open_fds"] > 0


def test_an_agent_listens_nowhere_beyond_loopback(watched: Watched) -> None:
    process = watched.house.agent.process
    assert process is not None
    listening = [one for one in psutil.Process(process.pid).net_connections() if one.status == psutil.CONN_LISTEN]

    assert len(listening) == 2
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}
    assert all(one.family is socket.AF_INET for one in listening)
