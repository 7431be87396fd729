from dataclasses import replace

import pytest

from agent.host.capabilities import WITHHELD, EngineOffer, Wishes, api_versions, attributes
from agent.host.resources import Machine
from agent.model.devices import Gpus
from agent.model.identity import Attribute

DEBIAN = Machine(cpus=1, memory=1, os_id="debian", os_version="12")
ENGINE = EngineOffer("1.41", "1.12", frozenset({"json-file", "syslog", "awslogs", "local"}))
ALL_VERSIONS = [17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 32]


def names(engine: EngineOffer = ENGINE, wishes: Wishes | None = None) -> set[str]:
    return {attribute.name for attribute in attributes(DEBIAN, engine, wishes or Wishes())}


def test_all_that_is_promised_by_default() -> None:
    old = "com.amazonaws.ecs.capability."
    assert attributes(DEBIAN, ENGINE, Wishes()) == (
        Attribute(f"{old}privileged-container"),
        *(Attribute(f"{old}docker-remote-api.1.{minor}") for minor in ALL_VERSIONS),
        Attribute(f"{old}logging-driver.json-file"),
        Attribute(f"{old}logging-driver.none"),
        Attribute("ecs.capability.container-ordering"),
        Attribute("ecs.capability.network.container-port-range"),
        Attribute("ecs.capability.container-restart-policy"),
        Attribute("ecs.capability.full-sync"),
        Attribute("ecs.capability.container-health-check"),
        Attribute("ecs.capability.docker-plugin.local"),
        Attribute("ecs.os-type", "linux"),
        Attribute("ecs.os-family", "LINUX"),
        Attribute("ecs.os-type-detailed", "debian_12"),
    )


def test_nothing_is_both_promised_and_withheld() -> None:
    everything = Wishes(("json-file", "syslog", "awslogs", "awsfirelens", "none"), selinux=True, apparmor=True)
    everything = replace(everything, task_limits=True)
    engine = EngineOffer("1.50", "1.24", ENGINE.log_drivers, frozenset({"selinux", "apparmor"}), frozenset({"local"}))
    assert not names(engine, everything) & WITHHELD.keys()


@pytest.mark.parametrize(
    ("lowest", "highest", "minors"),
    [
        ("1.12", "1.41", ALL_VERSIONS),
        ("1.24", "1.50", ALL_VERSIONS),
        ("1.44", "1.52", ALL_VERSIONS),
        ("1.19", "1.23", [19, 20, 21, 22, 23]),
        ("1.12", "1.16", []),
        ("", "", []),
    ],
)
def test_versions_are_those_the_engine_answers_and_all_once_it_has_outgrown_the_oldest(
    lowest: str, highest: str, minors: list[int]
) -> None:
    assert [minor for _, minor in api_versions(EngineOffer(highest, lowest))] == minors


def test_a_log_driver_needs_the_operator_and_the_engine() -> None:
    drivers = Wishes(("syslog", "splunk", "local", "none", "syslog"))
    found = {name.rpartition("logging-driver.")[2] for name in names(wishes=drivers) if "logging-driver." in name}
    assert found == {"syslog", "none"}


def test_a_log_driver_needs_the_api_that_brought_it() -> None:
    old = EngineOffer("1.20", "1.12", frozenset({"json-file", "awslogs"}))
    found = {
        name.rpartition(".")[2] for name in names(old, Wishes(("json-file", "awslogs"))) if "logging-driver" in name
    }
    assert found == {"json-file"}


def test_privileged_containers_are_promised_unless_the_operator_forbids_them() -> None:
    assert "com.amazonaws.ecs.capability.privileged-container" not in names(wishes=Wishes(privileged=False))


@pytest.mark.parametrize("name", ["selinux", "apparmor"])
def test_a_security_module_is_promised_where_operator_and_engine_have_it(name: str) -> None:
    attribute = f"com.amazonaws.ecs.capability.{name}"
    engine = EngineOffer("1.41", "1.12", security=frozenset({name}))
    wishes = Wishes(selinux=True, apparmor=True)

    assert attribute in names(engine, wishes)
    assert attribute not in names(engine)
    assert attribute not in names(ENGINE, wishes)


@pytest.mark.parametrize(("os_id", "version"), [("", ""), ("odd\nname", "1"), ("x" * 200, "")])
def test_an_operating_system_without_a_plain_name_is_linux(os_id: str, version: str) -> None:
    machine = Machine(cpus=1, memory=1, os_id=os_id, os_version=version)
    assert attributes(machine, ENGINE, Wishes())[-1] == Attribute("ecs.os-type-detailed", "LINUX")


def test_a_rolling_release_has_a_name_without_a_version() -> None:
    machine = Machine(cpus=1, memory=1, os_id="arch")
    assert attributes(machine, ENGINE, Wishes())[-1].value == "arch"


def newer(engine: EngineOffer = ENGINE, wishes: Wishes | None = None, machine: Machine = DEBIAN) -> set[str]:
    found = attributes(machine, engine, wishes or Wishes())
    return {one.name.removeprefix("ecs.capability.") for one in found if one.name.startswith("ecs.capability.")}


LIMITS = {"task-cpu-mem-limit", "increased-task-cpu-limit"}


def test_limits_of_tasks_are_promised_where_tasks_have_cgroups() -> None:
    assert newer(wishes=Wishes(task_limits=True)) - newer() == LIMITS
    assert not newer() & LIMITS


def test_what_needs_a_newer_docker_is_not_promised_on_an_old_one() -> None:
    old = newer(EngineOffer("1.21", "1.12"), Wishes(task_limits=True))

    assert not old & {"task-cpu-mem-limit", "container-health-check"}
    assert "container-health-check" in newer(EngineOffer("1.24", "1.12"))


def test_health_checks_are_promised_unless_the_operator_forbids_them() -> None:
    assert "container-health-check" not in newer(wishes=Wishes(health_checks=False))


def plugins(found: set[str]) -> set[str]:
    return {name.removeprefix("docker-plugin.") for name in found if name.startswith("docker-plugin.")}


def test_volume_drivers_are_promised_once_each_and_without_the_tag_latest() -> None:
    engine = replace(ENGINE, volume_drivers=frozenset({"local", "acme/nfs:1.2", "vieux/sshfs:latest", "rexray"}))
    machine = replace(DEBIAN, plugins=frozenset({"rexray", "amazon-ecs-volume-plugin", "odd name"}))
    names = [one.name for one in attributes(machine, engine, Wishes())]

    assert plugins(newer(engine, machine=machine)) == {
        *("local", "acme/nfs.1.2", "vieux/sshfs.latest", "vieux/sshfs", "rexray", "amazon-ecs-volume-plugin"),
    }
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("gpus", "told"),
    [
        (
            Gpus(("GPU-1",), "550.54.15"),
            [
                Attribute("ecs.capability.nvidia-driver-version.550.54.15"),
                Attribute("ecs.capability.gpu-driver-version", "550.54.15"),
            ],
        ),
        (Gpus((), "550.54.15"), []),
        (Gpus(("GPU-1",), ""), []),
        (Gpus(("GPU-1",), "550 beta"), []),
    ],
)
def test_the_driver_is_told_where_there_are_gpus_and_ecs_can_echo_it(gpus: Gpus, told: list[Attribute]) -> None:
    found = attributes(DEBIAN, ENGINE, Wishes(), gpus)

    assert [one for one in found if "driver-version" in one.name] == told
