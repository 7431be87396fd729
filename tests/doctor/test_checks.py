"""Each fault of a host is found, weighed, and comes with something to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.config.settings import Settings
from agent.docker.foreign import Foreign
from agent.doctor.checks import examine
from agent.doctor.findings import Disk, Finding, Given, Level, Listener, Sight
from agent.host.introspection import Neighbour
from agent.model.devices import GpuReading, Gpus
from agent.model.identity import Identity
from agent.model.names import DockerId, TaskArn
from agent.model.seen import EngineFacts

ARN = "arn:aws:ecs:eu-west-1:111122223333:container-instance/blue/0f1e"
DOCKER = EngineFacts("24.0.7", "1.43", "1.12")
WELL = Sight(
    given=Given(Settings()),
    docker=DOCKER,
    disks=(Disk("/var/lib/docker", 40.0, 10.0),),
    region="eu-west-1",
    endpoint="https://ecs.eu-west-1.amazonaws.com",
    skew=0.4,
)
WANTS_GPUS = Given(Settings(enable_gpu_support=True))
LIMITED = Given(Settings(task_cpu_mem_limit=True))
PROXIED = Given(Settings(), environ={"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "169.254.169.254"})
OTHER = Neighbour("blue", ARN, "Amazon ECS Agent - v1.105.1 (abc1234)")
LEFT_OVER = Foreign(DockerId("6b0f" * 16), "ecs-shop-7-web", TaskArn("arn:task"), "web", "shop", "7", "blue", runs=True)


def of(sight: Sight, check: str) -> Finding:
    (found,) = [one for one in examine(sight) if one.check == check]
    return found


def test_a_host_that_is_well_has_nothing_to_mend() -> None:
    found = examine(WELL)
    assert {one.level for one in found} == {Level.OK}
    assert not any(one.suggestion for one in found)
    assert len({one.check for one in found}) == len(found) >= 18


@pytest.mark.parametrize(
    ("check", "level", "sight", "words"),
    [
        ("settings", "error", replace(WELL, given=Given(Settings(), ("ECS_CLUSTER: must be",))), "ECS_CLUSTER"),
        ("settings", "warning", replace(WELL, given=Given(Settings(), (), ("ECS_CLUSTR: no such",))), "ECS_CLUSTR"),
        ("root", "warning", replace(WELL, is_root=False), "not root"),
        ("docker", "error", replace(WELL, docker=None, docker_lack="refused"), "unix:///var/run/docker.sock: refused"),
        ("docker", "error", replace(WELL, docker=replace(DOCKER, api_version="1.20")), "1.20, and 1.21 is the least"),
        ("docker", "warning", replace(WELL, docker=replace(DOCKER, oldest_api_version="1.50")), "1.50"),
        ("memory-cgroup", "error", replace(WELL, has_memory_cgroup=False), "memory cgroup"),
        ("task-limits", "warning", replace(WELL, cgroup_lack="no cpu controller"), "no cpu controller"),
        ("task-limits", "error", replace(WELL, cgroup_lack="no cpu controller", given=LIMITED), "no cpu controller"),
        ("ip-forward", "warning", replace(WELL, forwards_ip=False), "ip_forward"),
        (
            "redirect",
            "warning",
            replace(WELL, redirect_lack="there is no iptables"),
            "at 169.254.170.2: there is no ip",
        ),
        (
            "redirect",
            "warning",
            replace(WELL, redirect_lacks=("a rule of somebody else leads it to 127.0.0.1:1",)),
            "not led to this agent: a rule of somebody else",
        ),
        (
            "redirect",
            "warning",
            replace(WELL, redirect_lacks=("there is no route",), own_agent=7, own_troubles={}),
            "do not reach the agent at 169.254.170.2: there is no route",
        ),
        ("disk", "warning", replace(WELL, disks=(Disk("/data", 81.0, 10.0),)), "81 % of the bytes of /data"),
        ("disk", "error", replace(WELL, disks=(Disk("/data", 50.0, 99.0),)), "99 % of the inodes of /data"),
        ("disk", "error", replace(WELL, disks=(), silent_disks=("/mnt/efs",)), "/mnt/efs does not answer"),
        ("data-dir", "error", replace(WELL, data_dir_lack="Read-only file system"), "Read-only file system"),
        ("reserved-memory", "error", replace(WELL, memory_lack="ECS_RESERVED_MEMORY: 9 MiB"), "ECS_RESERVED_MEMORY"),
        ("region", "error", replace(WELL, region="", region_lack="AWS_REGION is not set"), "AWS_REGION"),
        ("credentials", "error", replace(WELL, keys_lack="there are no AWS credentials"), "no AWS credentials"),
        ("ecs-endpoint", "error", replace(WELL, endpoint_lack="name not known"), "name not known"),
        ("ecs-endpoint", "warning", replace(WELL, endpoint="", skew=None), "nobody knows where ECS is"),
        ("clock", "error", replace(WELL, skew=301.0), "301 s fast"),
        ("clock", "warning", replace(WELL, skew=-45.0), "45 s slow"),
        ("no-proxy", "warning", replace(WELL, given=PROXIED), "169.254.170.2, "),
        ("agent", "error", replace(WELL, neighbour=OTHER), ARN),
        ("agent-health", "warning", replace(WELL, own_agent=7), "process 7) does not answer in /var/lib/dockworker"),
        (
            "agent-health",
            "error",
            replace(WELL, own_agent=7, own_troubles={"disk": "DiskFull: full"}),
            "of disk: DiskF",
        ),
        ("agent-health", "warning", replace(WELL, own_agent=7, own_troubles={"gpus": "none"}), "of gpus: none"),
        ("ports", "error", replace(WELL, listeners=(Listener(51679, 42, "nginx"),)), "nginx (process 42)"),
        (
            "foreign-container",
            "warning",
            replace(WELL, foreigners=(LEFT_OVER,)),
            "ecs-shop-7-web of task arn:task runs",
        ),
        ("cluster", "warning", replace(WELL, identity=Identity("a", "blue", ARN)), "ECS_CLUSTER is default"),
        ("gpu", "error", replace(WELL, given=WANTS_GPUS), "no NVIDIA driver"),
        ("gpu", "error", replace(WELL, given=WANTS_GPUS, gpus=GpuReading(trouble="it shows none")), "it shows none"),
        ("gpu", "warning", replace(WELL, gpus=GpuReading(Gpus(("GPU-1",), "550.1"))), "tasks get none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_found_weighed_and_comes_with_something_to_do(
    check: str, level: str, sight: Sight, words: str
) -> None:
    found = of(sight, check)
    assert (found.level, words in found.says) == (level, True), found
    assert found.suggestion
    worse = [one for one in examine(sight) if one.level is not Level.OK]
    assert worse == [found]


@pytest.mark.parametrize(
    ("sight", "words"),
    [
        (replace(WELL, redirect_lacks=("there is no rule",)), "the agent makes the rules when it starts"),
        (replace(WELL, given=Given(Settings(task_redirect=False)), redirect_lack="no"), "no way"),
        (replace(WELL, given=Given(Settings(task_address="off")), redirect_lack="no"), "no way"),
        (WELL, "169.254.170.2 leads to 127.0.0.1:51679"),
    ],
)
def test_a_way_for_containers_that_is_not_to_be_there_is_no_fault(sight: Sight, words: str) -> None:
    found = of(sight, "redirect")
    assert (found.level, words in found.says) == (Level.OK, True), found


def test_what_the_agent_itself_listens_on_is_no_strangers() -> None:
    mine = replace(
        WELL, own_agent=42, listeners=(Listener(51678, 42, "dockworker"), Listener(22, 7, "sshd")), own_troubles={}
    )
    assert of(mine, "ports").level is Level.OK
    assert of(mine, "agent").says == "the agent runs (process 42)"
    assert of(mine, "agent-health").says == "the agent says that it can do its work"
    assert of(replace(mine, own_agent=43), "ports").level is Level.ERROR


def test_the_port_of_a_health_address_of_ones_own_is_looked_at() -> None:
    given = Given(Settings(health_address="0.0.0.0:8080"))
    busy = replace(WELL, given=given, listeners=(Listener(8080, None),))
    assert "port 8080" in of(busy, "ports").says
    off = replace(busy, given=Given(Settings(health_address="off")))
    assert of(off, "ports").level is Level.OK


def test_containers_of_an_agent_that_runs_are_its_own() -> None:
    found = of(replace(WELL, foreigners=(LEFT_OVER,), neighbour=OTHER), "foreign-container")
    assert (found.level, found.suggestion) == (Level.OK, "")


def test_the_line_that_completes_no_proxy_is_whole() -> None:
    found = of(replace(WELL, given=PROXIED), "no-proxy")
    assert found.suggestion.startswith("NO_PROXY=169.254.169.254,")
    completed = found.suggestion.removeprefix("NO_PROXY=")
    given = Given(Settings(), environ={"HTTPS_PROXY": "http://proxy:3128", "no_proxy": completed})
    assert of(replace(WELL, given=given), "no-proxy").level is Level.OK


def test_gpus_that_are_wanted_and_there_are_counted() -> None:
    sight = replace(WELL, given=WANTS_GPUS, gpus=GpuReading(Gpus(("GPU-1", "GPU-2"), "550.1")))
    assert of(sight, "gpu").says == "GPUs: 2, driver 550.1"


def test_an_instance_of_this_cluster_is_where_it_is_to_be() -> None:
    given = Given(Settings(cluster="blue", data_dir=Path("/var/lib/dockworker")))
    assert of(replace(WELL, given=given, identity=Identity("a", "blue", ARN)), "cluster").level is Level.OK
