import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.endpoints.calls import Answer, Asked, Caller, Known
from agent.endpoints.directory import Directory
from agent.endpoints.faults_desk import FaultsDesk
from agent.endpoints.faults_loop import HostFaults
from agent.endpoints.refusals import Refusals
from agent.model.errors import TryAgain
from agent.model.faults import HOST_NETWORK, Blackhole, Fault, FaultOp, FaultPlace, Latency, Outcome, Traffic
from agent.model.names import DockerId, Image, TaskArn
from agent.model.portrait import Portrait
from agent.model.task import Container, ContainerSpec, Task, TaskSpec, Transport

ARN, OTHER = TaskArn("arn:aws:ecs:us-east-1:1:task/c/a"), TaskArn("arn:aws:ecs:us-east-1:1:task/c/b")
DOCKER_ID = DockerId("d" * 64)
HOLE = json.dumps({"Port": 80, "Protocol": "tcp", "TrafficType": "ingress"}).encode()
LATE = json.dumps({"DelayMilliseconds": 1, "JitterMilliseconds": 0, "Sources": ["10.0.0.1"]}).encode()
LOST = json.dumps({"LossPercent": 1, "Sources": ["10.0.0.1"]}).encode()
BODIES = {"network-blackhole-port": HOLE, "network-latency": LATE, "network-packet-loss": LOST}
DONE = {"start": "running", "stop": "stopped", "status": "not-running"}
RUNNING = Portrait(DOCKER_ID, "n", pid=7, network_mode="default")
ROUTES = [(kind, op) for kind in BODIES for op in DONE]


@dataclass
class Rows:
    tasks: dict[TaskArn, Task]


@dataclass
class Docker:
    shown: Portrait | None
    trouble: bool = False

    async def portrait(self, docker_id: DockerId) -> Portrait | None:
        if self.trouble:
            raise TryAgain("busy")
        return self.shown

    async def stats(self, docker_id: DockerId) -> dict[str, Any] | None:
        raise AssertionError


@dataclass
class Network:
    """Remembers what it was asked, and answers the same each time it is told to, else what was wished for."""

    answers: Outcome | None = None
    asked: list[tuple[FaultOp, Fault, FaultPlace]] = field(default_factory=list)

    async def do(self, op: FaultOp, fault: Fault, place: FaultPlace) -> Outcome:
        self.asked.append((op, fault, place))
        return self.answers or Outcome(DONE[op])

    async def on_host(self) -> list[Fault]:
        return []


@dataclass
class Scene:
    """A task ``a`` of one container that asks, and another task beside it."""

    network_mode: str = "bridge"
    allowed: bool = True
    isolated: bool = True
    shown: Portrait | None = RUNNING
    now: float = 100.0

    def __post_init__(self) -> None:
        spec = TaskSpec(
            ARN,
            "f",
            "1",
            (ContainerSpec("web", Image("i")),),
            network_mode=self.network_mode,
            fault_injection=self.allowed,
        )
        task = Task(
            spec, (Container("web", docker_id=DOCKER_ID, metadata_id="mine"),), datetime(2024, 1, 1, tzinfo=UTC)
        )
        other = replace(
            task,
            spec=replace(spec, arn=OTHER),
            containers=(Container("web", docker_id=DockerId("e" * 64), metadata_id="its"),),
        )
        rows = Rows({ARN: task, OTHER: other})
        self.network, self.docker = Network(), Docker(self.shown)
        self.desk = FaultsDesk(
            Directory(rows, isolated=self.isolated),
            self.docker,
            self.network,
            HostFaults(rows, self.network),
            Refusals(lambda: datetime(2024, 1, 1, tzinfo=UTC)),
            lambda: self.now,
        )

    def ask(self, path: str, body: bytes = b"", method: str = "POST", caller: TaskArn = ARN) -> Answer | None:
        asked = Asked(method, path, "172.17.0.2:4000", Caller(Known.ADDRESS, caller, "web"), body=body)
        return asyncio.run(self.desk.answer(asked))

    def told(self, path: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        self.now += 5
        answer = self.ask(path, body)
        assert answer is not None
        assert answer.content_type == "application/json"
        return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(("kind", "op"), ROUTES)
def test_each_kind_is_started_stopped_and_asked_for(kind: str, op: str) -> None:
    scene = Scene()

    answer = scene.ask(f"/api/mine/fault/v1/{kind}/{op}", BODIES[kind])

    assert answer is not None
    assert (answer.status, answer.body) == (200, f'{{"Status":"{DONE[op]}"}}'.encode())
    ((asked, fault, place),) = scene.network.asked
    assert (asked, fault.kind, place) == (op, kind, FaultPlace(DOCKER_ID, 7))


@pytest.mark.parametrize(
    "path",
    [
        "/api/mine/fault/v1/network-latency",
        "/api/mine/fault/v1/network-latency/restart",
        "/api/mine/fault/v1/disk/start",
        "/api/mine/fault/v2/network-latency/start",
        "/api/a/b/fault/v1/network-latency/start",
        "/api/mine/task-protection/v1/state",
        "/v4/mine",
    ],
)
def test_other_paths_are_others(path: str) -> None:
    assert Scene().ask(path) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_even_the_status_is_asked_for_by_post_alone(method: str) -> None:
    answer = Scene().ask("/api/mine/fault/v1/network-latency/status", method=method)

    assert answer is not None
    assert (answer.status, answer.body) == (405, b"")


def test_each_route_may_be_asked_once_in_five_seconds_whatever_the_body_says() -> None:
    scene = Scene()
    path = "/api/mine/fault/v1/network-blackhole-port/status"

    first, second = scene.ask(path, b"nonsense"), scene.ask(path, HOLE)

    assert first is not None
    assert second is not None
    assert first.status == 400
    assert (second.status, second.body) == (429, b"You have reached maximum request limit")
    assert second.content_type == "text/plain; charset=utf-8"
    for answer in (first, second):
        assert answer.headers == {
            "X-Rate-Limit-Limit": "0.20",
            "X-Rate-Limit-Duration": "1",
            "X-Rate-Limit-Request-Forwarded-For": "",
            "X-Rate-Limit-Request-Remote-Addr": "172.17.0.2:4000",
        }
    other = scene.ask("/api/mine/fault/v1/network-blackhole-port/start", HOLE)
    assert other is not None
    assert other.status == 200
    scene.now += 4.9
    again = scene.ask(path, HOLE)
    assert again is not None
    assert again.status == 429
    scene.now += 0.1
    again = scene.ask(path, HOLE)
    assert again is not None
    assert again.status == 200


def test_what_is_wrong_is_said_before_anything_is_looked_up() -> None:
    assert Scene(allowed=False).told("/api/none/fault/v1/network-packet-loss/start", b"") == (
        400,
        {"Error": "required request body is missing"},
    )


def test_an_id_that_nobody_has_is_not_found() -> None:
    assert Scene().told("/api/none/fault/v1/network-blackhole-port/start", HOLE) == (
        404,
        {"Error": "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: none"},
    )


def test_another_tasks_id_is_like_one_that_nobody_has() -> None:
    scene, path = Scene(), "/api/its/fault/v1/network-blackhole-port/start"
    text = {"Error": "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: its"}

    assert scene.told(path, HOLE) == (404, text)
    assert scene.network.asked == []
    assert Scene(isolated=False).told(path, HOLE) == (200, {"Status": "running"})


def test_a_task_that_may_not_ask_is_told_so() -> None:
    scene = Scene(allowed=False)

    assert scene.told("/api/mine/fault/v1/network-latency/status") == (
        400,
        {"Error": f"enableFaultInjection is not enabled for task: {ARN}"},
    )
    assert scene.network.asked == []


@pytest.mark.parametrize(
    "scene",
    [
        Scene(network_mode="none"),
        Scene(shown=Portrait(DOCKER_ID, "n", pid=7, network_mode="none")),
        Scene(shown=Portrait(DOCKER_ID, "n", pid=0)),
        Scene(shown=None),
    ],
)
def test_a_container_without_a_network_or_a_process_has_nothing_to_cut(scene: Scene) -> None:
    assert scene.told("/api/mine/fault/v1/network-blackhole-port/start", HOLE) == (
        500,
        {"Error": "failed to get task metadata due to internal server error for container: mine"},
    )
    assert scene.network.asked == []


def test_a_docker_that_does_not_answer_is_an_error() -> None:
    scene = Scene()
    scene.docker.trouble = True

    assert scene.told("/api/mine/fault/v1/network-latency/stop") == (
        500,
        {"Error": f"Unable to generate metadata for v4 task: '{ARN}'"},
    )


@pytest.mark.parametrize("op", list(DONE))
def test_a_task_in_the_network_of_the_host_gets_its_faults_there(op: str) -> None:
    scene = Scene(network_mode="host", shown=Portrait(DOCKER_ID, "n", pid=7, network_mode="host"))

    assert scene.told(f"/api/mine/fault/v1/network-blackhole-port/{op}", HOLE) == (200, {"Status": DONE[op]})
    hole = Blackhole(80, Transport.TCP, Traffic.INGRESS)
    assert scene.network.asked == [(FaultOp(op), hole, HOST_NETWORK)]


@pytest.mark.parametrize(
    ("outcome", "kind", "op", "status", "text"),
    [
        (
            Outcome.LATENCY_RUNS,
            "network-packet-loss",
            "start",
            409,
            "There is already one network latency fault running",
        ),
        (Outcome.LOSS_RUNS, "network-latency", "start", 409, "There is already one network packet loss fault running"),
        (Outcome.TIMED_OUT, "network-latency", "start", 500, "start network-latency: request timed out"),
        (Outcome.TIMED_OUT, "network-packet-loss", "stop", 500, "stop network-packet-loss: request timed out"),
        (
            Outcome.TIMED_OUT,
            "network-blackhole-port",
            "status",
            500,
            "check status network-blackhole-port: request timed out",
        ),
        (Outcome.FAILED, "network-blackhole-port", "start", 500, "internal error"),
        (Outcome.NO_INTERFACE, "network-latency", "start", 500, "failed to resolve default host network interface"),
        (Outcome.RUNNING, "network-latency", "status", 200, "running"),
    ],
)
def test_what_came_of_it_is_told(outcome: Outcome, kind: str, op: str, status: int, text: str) -> None:
    scene = Scene()
    scene.network.answers = outcome

    word = "Status" if status == 200 else "Error"
    assert scene.told(f"/api/mine/fault/v1/{kind}/{op}", BODIES[kind]) == (status, {word: text})


def test_latency_is_stopped_without_a_body() -> None:
    scene = Scene()

    assert scene.told("/api/mine/fault/v1/network-latency/stop") == (200, {"Status": "stopped"})
    assert scene.network.asked == [(FaultOp.STOP, Latency(), FaultPlace(DOCKER_ID, 7))]
