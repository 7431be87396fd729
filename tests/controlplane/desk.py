"""A plane without sockets or disk: calls are checked, decided and shaped by the real model, in one step."""

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.controlplane import model_driver
from agent.controlplane.answers import shape_answer
from agent.controlplane.api_model import ApiModel
from agent.controlplane.events import (
    Acknowledged,
    AgentConnected,
    AgentLost,
    Called,
    DeliveriesAsked,
    Event,
    PlaneDecision,
)
from agent.controlplane.faults import Fault
from agent.controlplane.operations import ACTIONS, OPERATIONS
from agent.controlplane.plane import Plane
from agent.controlplane.records import JsonObject
from agent.controlplane.validate import complaints, read_request

T0 = datetime(2026, 1, 15, 12, tzinfo=UTC)
WEB: JsonObject = {"name": "web", "image": "busybox", "memory": 100, "cpu": 100}


@functools.cache
def api_model() -> ApiModel:
    return model_driver.load(ACTIONS)


class Desk:
    """One region, a clock that moves when told, and chance that counts."""

    def __init__(self, plane: Plane | None = None) -> None:
        self.plane = plane or Plane("us-east-1", "123456789012")
        self.now = T0
        self.draws = 0
        self.key = ""
        self.last = PlaneDecision()

    def later(self, **amount: float) -> None:
        self.now += timedelta(**amount)

    def decide(self, event: Event) -> PlaneDecision:
        self.last = self.plane.decide(event)
        if self.last.fault is not None:
            raise self.last.fault
        return self.last

    def call(self, action: str, /, **members: object) -> JsonObject:
        """The answer as it goes over the wire, which must keep the model's own rules."""
        self.draws += 1
        self.last = PlaneDecision()
        operation = OPERATIONS[action]
        request = read_request(api_model(), action, members, operation.fault)
        event = Called(action, request, self.now, f"{self.draws:064x}", "http://127.0.0.1:51690/", self.key)
        answer = shape_answer(api_model(), action, self.decide(event).answer or {})
        output = api_model().operations[action].output
        assert output is not None
        assert not list(complaints(api_model(), api_model().shapes[output.shape], answer, ""))
        return answer

    def refused(self, action: str, /, **members: object) -> Fault:
        """The error that a call gets. It must leave no trace."""
        try:
            self.call(action, **members)
        except Fault as fault:
            assert not self.last.changes
            return fault
        raise AssertionError(f"{action} was answered")

    def register(self, cluster: str = "default", cpu: int = 1000, memory: int = 1000, **members: object) -> str:
        resources = [
            {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": ["53"]},
        ]
        answer = self.call("RegisterContainerInstance", **{"cluster": cluster, "totalResources": resources} | members)
        arn: str = answer["containerInstance"]["containerInstanceArn"]
        return arn

    def connect(self, arn: str, connection: str = "one") -> None:
        self.decide(
            AgentConnected(arn, connection, self.now, "1.105.1", "a8b3e7d3", "DockerVersion: 25.0.14", self.key)
        )

    def lose(self, arn: str, connection: str = "one") -> None:
        self.decide(AgentLost(arn, connection, self.now))

    def host(self, **members: Any) -> str:  # noqa: ANN401  # whatever register takes
        """A registered host with its agent connected."""
        arn = self.register(**members)
        self.connect(arn)
        return arn

    def define(self, *containers: Mapping[str, object], **members: object) -> str:
        answer = self.call(
            "RegisterTaskDefinition",
            **{"family": "web", "containerDefinitions": [dict(c) for c in containers] or [WEB]} | members,
        )
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn

    def run(self, **members: object) -> str:
        answer = self.call("RunTask", **{"taskDefinition": "web"} | members)
        assert answer["failures"] == []
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def report(self, arn: str, status: str = "", **members: object) -> None:
        self.call("SubmitTaskStateChange", task=arn, **({"status": status} if status else {}), **members)

    def task(self, arn: str) -> JsonObject:
        found: JsonObject = self.call("DescribeTasks", tasks=[arn])["tasks"][0]
        return found

    def instance(self, arn: str) -> JsonObject:
        answer = self.call("DescribeContainerInstances", containerInstances=[arn])
        found: JsonObject = answer["containerInstances"][0]
        return found

    def owed(self, arn: str) -> list[tuple[str, int]]:
        """The messages that the agent of an instance is owed, and their numbers."""
        return [(d.message_id, d.seq) for d in self.decide(DeliveriesAsked(arn, self.now)).deliveries]

    def acknowledge(self, arn: str, message_id: str) -> None:
        self.decide(Acknowledged(arn, message_id))
