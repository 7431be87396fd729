from dataclasses import replace
from datetime import timedelta

import pytest

from agent.config.settings import Settings
from agent.host.capabilities import Wishes
from agent.host.resources import Machine, Reservations, total_resources
from agent.host.rules import (
    cgroup_version,
    check_docker,
    lack_of_docker,
    lack_of_gpu_runtime,
    limits_tasks,
    reservations,
    rules,
    wishes,
)
from agent.model.devices import Gpus
from agent.model.errors import Fatal
from agent.model.identity import Identity
from agent.model.rules import Rules
from agent.model.seen import EngineFacts
from agent.model.status import PullBehavior

MIB = 1024 * 1024
MACHINE = Machine(cpus=4, memory=7800 * MIB + 5, port_range=(32768, 60999))
FACTS = EngineFacts("29.0.0", "1.52", "1.44", cgroup_version="2", cgroup_driver="systemd")
IDENTITY = Identity("agent-1", "demo", "arn:instance")


def test_settings_machine_and_identity_make_up_the_rules() -> None:
    settings = Settings(
        stop_timeout=timedelta(seconds=5),
        cleanup_wait=timedelta(minutes=1),
        cleanup_wait_jitter=timedelta(minutes=2),
        pull_behavior=PullBehavior.ONCE,
        dynamic_host_port_range=(50000, 50010),
        reserved_ports_udp=(53,),
        cgroup_cpu_period=timedelta(milliseconds=50),
        task_pids_limit=1000,
        propagate_task_memory_limit=True,
    )

    assert rules(settings, MACHINE, Reservations(200, (22,)), FACTS, IDENTITY, task_limits=True) == Rules(
        stop_timeout=timedelta(seconds=5),
        cleanup_wait=timedelta(minutes=1),
        cleanup_jitter=timedelta(minutes=2),
        pull_behavior=PullBehavior.ONCE,
        first_port=50000,
        last_port=50010,
        reserved_tcp=frozenset({22, 51678, 51679}),
        reserved_udp=frozenset({53}),
        cpu=4096,
        memory=7600,
        task_limits=True,
        cgroup_version=2,
        cpu_period=timedelta(milliseconds=50),
        pids_limit=1000,
        propagates_memory=True,
        agent="agent-1",
        instance="arn:instance",
    )


@pytest.mark.parametrize(
    ("kernels", "ours"),
    [
        ((32768, 60999), (61000, 65535)),
        ((32768, 64534), (64535, 65535)),
        ((32768, 64535), (1024, 32767)),
        ((15000, 65000), (1024, 14999)),
        ((1024, 65535), (1024, 65535)),
        ((2000, 65535), (2000, 65535)),
    ],
)
def test_without_a_range_ports_are_taken_beside_the_kernels_own_if_it_leaves_enough(
    kernels: tuple[int, int], ours: tuple[int, int]
) -> None:
    machine = replace(MACHINE, port_range=kernels)
    found = rules(Settings(), machine, Reservations(), FACTS, IDENTITY, task_limits=False)

    assert (found.first_port, found.last_port) == ours


def test_what_tasks_may_hold_is_what_ecs_is_told_of() -> None:
    kept = Reservations(memory=123)
    found = rules(Settings(), MACHINE, kept, FACTS, IDENTITY, task_limits=False)
    told = {resource.name: resource.integer for resource in total_resources(MACHINE, kept)}

    assert (found.cpu, found.memory) == (told["CPU"], told["MEMORY"])


@pytest.mark.parametrize(("said", "version"), [("1", 1), ("2", 2), ("", 1)])
def test_the_version_of_cgroups_is_the_one_that_docker_uses(said: str, version: int) -> None:
    assert cgroup_version(EngineFacts("", "", "", cgroup_version=said)) == version


@pytest.mark.parametrize(
    ("version", "driver", "works"),
    [
        ("1", "cgroupfs", True),
        ("1", "", True),
        ("2", "systemd", True),
        ("2", "cgroupfs", True),
        ("1", "systemd", False),
    ],
)
def test_docker_takes_our_cgroups_unless_systemd_makes_those_of_version_1(
    version: str,
    driver: str,
    works: bool,  # noqa: FBT001
) -> None:
    facts = EngineFacts("", "", "", cgroup_version=version, cgroup_driver=driver)

    assert (lack_of_docker(facts) == "") is works


@pytest.mark.parametrize(
    ("asked", "lack", "limited"),
    [(None, "", True), (True, "", True), (False, "", False), (False, "no", False), (None, "no", False)],
)
def test_tasks_are_limited_where_the_operator_does_not_mind_and_the_machine_can(
    asked: bool | None,  # noqa: FBT001
    lack: str,
    limited: bool,  # noqa: FBT001
) -> None:
    assert limits_tasks(Settings(task_cpu_mem_limit=asked), lack) is limited


def test_an_operator_who_insists_on_limits_is_told_why_there_are_none() -> None:
    with pytest.raises(Fatal, match="ECS_ENABLE_TASK_CPU_MEM_LIMIT: tasks cannot be limited: no cgroups") as caught:
        limits_tasks(Settings(task_cpu_mem_limit=True), "no cgroups")

    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("wanted", "found", "known"),
    [
        (True, Gpus(("GPU-1",)), frozenset({"GPU-1"})),
        (True, Gpus(), None),
        (False, Gpus(), frozenset()),
    ],
)
def test_where_gpus_are_wanted_and_none_are_found_they_may_still_come(
    wanted: bool,  # noqa: FBT001
    found: Gpus,
    known: frozenset[str] | None,
) -> None:
    settings = Settings(enable_gpu_support=wanted)

    assert rules(settings, MACHINE, Reservations(), FACTS, IDENTITY, task_limits=False, gpus=found).gpus == known


def test_docker_gives_gpus_by_a_runtime_but_outside_aws() -> None:
    facts = replace(FACTS, runtimes=("nvidia", "runc"))

    assert lack_of_gpu_runtime(Settings(), facts) == ""
    assert lack_of_gpu_runtime(Settings(external=True), FACTS) == ""
    assert lack_of_gpu_runtime(Settings(nvidia_runtime="nv"), facts) == (
        "Docker has no runtime 'nv' (ECS_NVIDIA_RUNTIME), so no container can use a GPU"
    )


def test_wishes_are_what_the_operator_set() -> None:
    settings = Settings(
        available_logging_drivers=("syslog",),
        disable_privileged=True,
        selinux_capable=True,
        apparmor_capable=True,
        disable_docker_health_check=True,
    )

    served = Wishes(Settings().available_logging_drivers, task_roles=True, task_roles_on_host=True)
    served = replace(served, log_roles=True, faults=True)
    assert wishes(Settings(), task_limits=False) == served
    assert wishes(settings, task_limits=True) == replace(
        served,
        log_drivers=("syslog",),
        privileged=False,
        selinux=True,
        apparmor=True,
        health_checks=False,
        task_limits=True,
    )


@pytest.mark.parametrize("spoken", ["1.20", "1.9", "", "new"])
def test_a_docker_that_is_too_old_ends_the_start_for_good(spoken: str) -> None:
    with pytest.raises(Fatal, match=r"the agent needs 1\.21") as caught:
        check_docker(replace(FACTS, api_version=spoken))
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("spoken", ["1.21", "1.41", "1.52", "2.0"])
def test_a_docker_of_today_will_do(spoken: str) -> None:
    check_docker(replace(FACTS, api_version=spoken))


def test_what_is_kept_from_tasks_is_what_the_operator_says_and_the_endpoint() -> None:
    settings = Settings(reserved_memory=7, reserved_ports=(22,), reserved_ports_udp=(53,))
    assert reservations(settings, "http://127.0.0.1:5") == Reservations(7, (22,), (53,), "http://127.0.0.1:5")


def test_an_external_machine_and_the_name_of_its_system_are_wishes() -> None:
    found = wishes(Settings(external=True, detailed_os_family="amzn_2023"), task_limits=False)
    assert (found.external, found.detailed_os) == (True, "amzn_2023")
