"""What a task of many fields holds of its host, and what it needs of it."""

import pytest

from tests.controlplane.desk import WEB, Desk
from tests.controlplane.test_payload_parts import DB, FILE, ROLE

TWO = {"resourceRequirements": [{"type": "GPU", "value": "2"}]}


def gpus(number: int) -> list[dict[str, str]]:
    return [{"id": f"GPU-{one}", "type": "GPU"} for one in range(number)]


def left(desk: Desk, host: str) -> dict[str, object]:
    return {
        one["name"]: one["integerValue"] if one["type"] == "INTEGER" else one["stringSetValue"]
        for one in desk.instance(host)["remainingResources"]
    }


def test_gpus_belong_to_one_task_until_it_is_stopped() -> None:
    desk = Desk()
    host = desk.host(platformDevices=gpus(3))
    desk.define(WEB | TWO)

    first = desk.run()

    assert desk.task(first)["containers"][0]["gpuIds"] == ["GPU-0", "GPU-1"]
    assert left(desk, host)["GPU"] == ["GPU-2"]
    registered = desk.instance(host)["registeredResources"]
    assert [one["stringSetValue"] for one in registered if one["name"] == "GPU"] == [["GPU-0", "GPU-1", "GPU-2"]]
    assert desk.call("RunTask", taskDefinition="web")["failures"] == [{"arn": host, "reason": "RESOURCE:GPU"}]
    desk.call("StopTask", task=first)
    assert desk.call("RunTask", taskDefinition="web")["tasks"] == []
    desk.report(first, "STOPPED")
    assert desk.task(desk.run())["containers"][0]["gpuIds"] == ["GPU-0", "GPU-1"]


def test_a_host_without_gpus_has_no_such_resource() -> None:
    desk = Desk()
    host = desk.host()
    desk.define(WEB | TWO)

    assert "GPU" not in left(desk, host)
    assert desk.call("RunTask", taskDefinition="web")["failures"][0]["reason"] == "RESOURCE:GPU"


def test_two_tasks_of_one_call_get_gpus_of_their_own() -> None:
    desk = Desk()
    desk.host(platformDevices=gpus(4))
    desk.define(WEB | TWO)

    tasks = desk.call("RunTask", taskDefinition="web", count=2)["tasks"]

    assert [task["containers"][0]["gpuIds"] for task in tasks] == [["GPU-0", "GPU-1"], ["GPU-2", "GPU-3"]]


def test_gpus_that_are_gone_after_a_restart_are_not_given_away() -> None:
    desk = Desk()
    host = desk.host(platformDevices=gpus(2))
    desk.define(WEB | TWO)

    desk.register(containerInstanceArn=host, platformDevices=gpus(1))

    assert left(desk, host)["GPU"] == ["GPU-0"]
    assert desk.call("RunTask", taskDefinition="web")["failures"][0]["reason"] == "RESOURCE:GPU"


@pytest.mark.parametrize(
    ("containers", "members", "cpu", "memory"),
    [
        ([WEB, DB], {}, 100, 150),
        ([WEB | {"memoryReservation": 30}, DB], {}, 100, 80),
        ([WEB, DB], {"memory": "400", "cpu": "256"}, 256, 400),
        ([WEB | {"memoryReservation": 30}], {"memory": "400"}, 100, 400),
    ],
)
def test_a_task_holds_its_own_amounts_or_else_those_of_its_containers(
    containers: list[dict[str, object]], members: dict[str, object], cpu: int, memory: int
) -> None:
    desk = Desk()
    wanted = ("ecs.capability.task-cpu-mem-limit", "ecs.capability.container-health-check")
    host = desk.host(attributes=[{"name": name} for name in wanted])
    desk.define(*containers, **members)

    desk.run()

    assert (left(desk, host)["CPU"], left(desk, host)["MEMORY"]) == (1000 - cpu, 1000 - memory)


def test_a_range_of_ports_holds_no_port_of_the_host() -> None:
    desk = Desk()
    host = desk.host(attributes=[{"name": "ecs.capability.network.container-port-range"}])
    desk.define(WEB | {"portMappings": [{"containerPortRange": "80-90"}, {"containerPort": 1, "hostPort": 8080}]})

    desk.run()

    assert left(desk, host)["PORTS"] == ["22", "8080"]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"containerOverrides": [{"name": "web", "environmentFiles": [FILE]}]}, "ATTRIBUTE"),
        ({"memory": "200"}, "ATTRIBUTE"),
        ({"containerOverrides": [{"name": "web"} | TWO]}, "RESOURCE:GPU"),
    ],
)
def test_an_override_needs_of_its_host_what_the_definition_would(overrides: dict[str, object], reason: str) -> None:
    desk = Desk()
    host = desk.host()
    desk.define()

    failures = desk.call("RunTask", taskDefinition="web", overrides=overrides)["failures"]

    assert failures == [{"arn": host, "reason": reason}]


@pytest.mark.parametrize(
    ("overrides", "code", "text"),
    [
        ({"memory": "99"}, "InvalidParameterException", "total memory"),
        ({"containerOverrides": [{"name": "web", "cpu": 300}], "cpu": "256"}, "InvalidParameterException", "total cpu"),
        (
            {"containerOverrides": [{"name": "web", "memory": 20}]},
            "InvalidParameterException",
            "memoryReservation of container 'web'",
        ),
        (
            {"containerOverrides": [{"name": "web", "environment": [{"name": "A", "value": "1"}]}]},
            "ClientException",
            "such as 'A'.",
        ),
        (
            {"containerOverrides": [{"name": "web", "environmentFiles": [FILE | {"value": "x"}]}]},
            "InvalidParameterException",
            "environmentFiles of container 'web' in containerOverrides",
        ),
        (
            {"containerOverrides": [{"name": "web", "resourceRequirements": [{"type": "GPU", "value": "x"}]}]},
            "InvalidParameterException",
            "number of GPUs",
        ),
        (
            {
                "containerOverrides": [
                    {"name": "web", "resourceRequirements": [{"type": "InferenceAccelerator", "value": "x"}]}
                ]
            },
            "ClientException",
            "InferenceAccelerator",
        ),
        (
            {"containerOverrides": [{"name": "web", "memory": 0}]},
            "InvalidParameterException",
            "memory of container web",
        ),
        ({"containerOverrides": [{"name": "web", "cpu": -1}]}, "InvalidParameterException", "cpu of container web"),
        (
            {"containerOverrides": [{"name": "web", "environment": [{"value": "1"}]}]},
            "InvalidParameterException",
            "without a name",
        ),
        ({"inferenceAcceleratorOverrides": [{"deviceName": "x"}]}, "ClientException", "inferenceAcceleratorOverrides"),
    ],
)
def test_an_override_must_not_break_what_the_definition_keeps(
    overrides: dict[str, object], code: str, text: str
) -> None:
    desk = Desk()
    desk.host()
    container = WEB | {"memoryReservation": 30, "secrets": [{"name": "A", "valueFrom": "x"}]}
    desk.define(container, executionRoleArn=ROLE)

    fault = desk.refused("RunTask", taskDefinition="web", overrides=overrides)

    assert fault.code == code
    assert text in str(fault)
