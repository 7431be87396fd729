"""What is made of the health that agents tell, event by event."""

from datetime import timedelta

import pytest

from agent.controlplane.events import MinutePassed, TelemetryTold
from agent.controlplane.faults import Fault
from agent.controlplane.health import overall
from agent.controlplane.records import InstanceCheck, JsonObject
from agent.controlplane.telemetry import ChecksTold, FiguresTold, HealthTold, Told
from agent.wire.tcs_metrics import ContainerMetric, level_set
from tests.controlplane.desk import T0, WEB, Desk

CHECKED: JsonObject = WEB | {"healthCheck": {"command": ["CMD", "true"]}}
CAPABLE = [
    *({"name": f"com.amazonaws.ecs.capability.docker-remote-api.{n}"} for n in ("1.18", "1.19", "1.24")),
    {"name": "ecs.capability.container-health-check"},
]
METRIC = ContainerMetric(container_name="web", cpu_stats_set=level_set([1, 2]))


def a_desk(*containers: JsonObject) -> tuple[Desk, str, str]:
    """A desk, its host, and a task there that runs."""
    desk = Desk()
    desk.define(*containers)
    host = desk.host(attributes=CAPABLE)
    task = desk.run()
    desk.report(task, "RUNNING", containers=[{"containerName": c["name"], "status": "RUNNING"} for c in containers])
    return desk, host, task


def tell(desk: Desk, host: str, told: Told) -> int:
    return desk.decide(TelemetryTold(host, told, desk.now, desk.key)).strangers


def tell_health(desk: Desk, host: str, task: str, **health: str) -> int:
    return tell(desk, host, HealthTold({task: health}))


@pytest.mark.parametrize(
    ("told", "health"),
    [
        ({}, "UNKNOWN"),
        ({"web": "HEALTHY"}, "UNKNOWN"),
        ({"web": "HEALTHY", "api": "HEALTHY"}, "HEALTHY"),
        ({"web": "HEALTHY", "api": "UNKNOWN"}, "UNKNOWN"),
        ({"web": "UNHEALTHY", "api": "UNKNOWN"}, "UNHEALTHY"),
        ({"web": "HEALTHY", "api": "UNHEALTHY"}, "UNHEALTHY"),
        ({"web": "HEALTHY", "api": "HEALTHY", "aside": "UNHEALTHY"}, "HEALTHY"),
        ({"aside": "UNHEALTHY"}, "UNKNOWN"),
    ],
)
def test_a_task_is_as_well_as_its_essential_containers_that_have_a_check(told: dict[str, str], health: str) -> None:
    aside = CHECKED | {"name": "aside", "essential": False}
    desk, host, task = a_desk(CHECKED, CHECKED | {"name": "api"}, WEB | {"name": "unchecked"}, aside)

    tell_health(desk, host, task, **told)

    shown = desk.task(task)
    assert shown["healthStatus"] == health
    assert {c["name"]: c["healthStatus"] for c in shown["containers"]} == {
        **dict.fromkeys(("web", "api", "unchecked", "aside"), "UNKNOWN"),
        **told,
    }


def test_news_of_health_changes_a_task_once() -> None:
    desk, host, task = a_desk(CHECKED)
    before = desk.task(task)["version"]

    tell_health(desk, host, task, web="HEALTHY")
    assert desk.task(task)["version"] == before + 1
    tell_health(desk, host, task, web="HEALTHY")

    assert not desk.last.changes
    tell_health(desk, host, task, nobody="UNHEALTHY")
    assert not desk.last.changes


def test_what_an_agent_told_last_stays_while_it_is_away() -> None:
    desk, host, task = a_desk(CHECKED)
    tell_health(desk, host, task, web="HEALTHY")

    desk.lose(host)

    assert desk.task(task)["connectivity"] == "DISCONNECTED"
    assert desk.task(task)["healthStatus"] == "HEALTHY"


def test_the_health_of_a_container_ends_with_it() -> None:
    desk, host, task = a_desk(CHECKED, CHECKED | {"name": "aside", "essential": False})
    tell_health(desk, host, task, web="UNHEALTHY", aside="HEALTHY")

    desk.report(task, containers=[{"containerName": "aside", "status": "STOPPED", "exitCode": 0}])
    tell_health(desk, host, task, aside="HEALTHY")
    assert [c["healthStatus"] for c in desk.task(task)["containers"]] == ["UNHEALTHY", "UNKNOWN"]

    desk.report(task, "STOPPED")
    assert [c["healthStatus"] for c in desk.task(task)["containers"]] == ["UNKNOWN", "UNKNOWN"]
    assert desk.task(task)["healthStatus"] == "UNKNOWN"


def test_the_health_of_a_task_ends_when_it_is_let_go_with_its_host() -> None:
    desk, host, task = a_desk(CHECKED)
    tell_health(desk, host, task, web="HEALTHY")

    desk.call("DeregisterContainerInstance", containerInstance=host, force=True)

    assert desk.task(task)["healthStatus"] == "UNKNOWN"


def test_an_agent_tells_of_the_tasks_on_its_own_host_alone() -> None:
    desk, host, task = a_desk(CHECKED)
    other = desk.host(attributes=CAPABLE)

    assert tell_health(desk, other, task, web="UNHEALTHY") == 1
    assert tell(desk, other, FiguresTold({task: {"web": METRIC}, "arn:nothing": {"web": METRIC}})) == 2

    assert desk.task(task)["healthStatus"] == "UNKNOWN"
    assert not desk.plane.figures.of(task)
    assert tell_health(desk, host, task, web="UNHEALTHY") == 0


@pytest.mark.parametrize("told", [ChecksTold(()), HealthTold({}), FiguresTold({})])
def test_an_agent_tells_of_its_own_host_alone(told: Told) -> None:
    desk = Desk()
    desk.key = "AKIAONE"
    host = desk.host()
    desk.key = "AKIATWO"

    with pytest.raises(Fault, match="ecs:StartTelemetrySession on resource") as refused:
        tell(desk, host, told)

    assert refused.value.code == "AccessDeniedException"


def test_the_latest_figures_of_what_runs_are_kept_and_no_others() -> None:
    desk, host, task = a_desk(WEB)
    later = ContainerMetric(container_name="web", cpu_stats_set=level_set([3]))

    tell(desk, host, FiguresTold({task: {"web": METRIC, "nobody": METRIC}}))
    desk.later(seconds=20)
    tell(desk, host, FiguresTold({task: {"web": later}}))

    assert not desk.last.changes, "figures are not for the disk"
    [(name, kept)] = desk.plane.figures.of(task).items()
    assert (name, kept.metric, kept.at) == ("web", later, desk.now)

    desk.report(task, "STOPPED")
    tell(desk, host, FiguresTold({task: {"web": METRIC}}))
    assert desk.plane.figures.of(task)["web"].metric == later
    desk.decide(MinutePassed(desk.now))
    assert not desk.plane.figures.of(task)


def a_check(status: str, kind: str = "CONTAINER_RUNTIME", seconds: int = 0) -> InstanceCheck:
    return InstanceCheck(kind, status, T0 + timedelta(seconds=seconds), T0)


def test_a_host_is_as_well_as_the_worst_of_its_checks_says() -> None:
    assert overall(()) == "INSUFFICIENT_DATA"
    assert overall((a_check("OK"), a_check("OK"))) == "OK"
    assert overall((a_check("OK"), a_check("INITIALIZING"))) == "INITIALIZING"
    assert overall((a_check("INSUFFICIENT_DATA"), a_check("INITIALIZING"))) == "INSUFFICIENT_DATA"
    assert overall((a_check("INSUFFICIENT_DATA"), a_check("IMPAIRED"), a_check("OK"))) == "IMPAIRED"


def test_the_health_of_a_host_is_shown_to_who_asks_for_it() -> None:
    desk = Desk()
    host = desk.host()
    before = desk.instance(host)
    assert "healthStatus" not in before

    def shown() -> JsonObject:
        answer = desk.call(
            "DescribeContainerInstances", containerInstances=[host], include=["CONTAINER_INSTANCE_HEALTH"]
        )
        found: JsonObject = answer["containerInstances"][0]["healthStatus"]
        return found

    assert shown() == {"overallStatus": "INSUFFICIENT_DATA", "details": []}
    tell(desk, host, ChecksTold((a_check("INITIALIZING"),)))
    tell(desk, host, ChecksTold((a_check("OK", seconds=25),)))
    tell(desk, host, ChecksTold((a_check("OK", seconds=50),)))
    start = T0.timestamp()
    detail = {
        "type": "CONTAINER_RUNTIME",
        "status": "OK",
        "lastUpdated": start + 50,
        "lastStatusChange": start,
    }
    assert shown() == {"overallStatus": "OK", "details": [detail]}
    assert desk.instance(host)["version"] == before["version"] + 2, "what is as it was is no news"

    tell(desk, host, ChecksTold((a_check("IMPAIRED", "DAEMON"),)))
    desk.lose(host)
    assert shown()["overallStatus"] == "IMPAIRED"
    assert [one["type"] for one in shown()["details"]] == ["CONTAINER_RUNTIME", "DAEMON"]
