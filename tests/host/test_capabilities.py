from dataclasses import dataclass, replace

import pytest

from agent.config.settings import Settings
from agent.host import rules
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
    everything = replace(
        everything, task_limits=True, external=True, task_roles=True, task_roles_on_host=True, faults=True
    )
    engine = EngineOffer("1.50", "1.24", ENGINE.log_drivers, frozenset({"selinux", "apparmor"}), frozenset({"local"}))
    assert not names(engine, everything) & WITHHELD.keys()
    able = replace(DEBIAN, lacks_for_faults=())
    assert not {one.name for one in attributes(able, engine, everything)} & WITHHELD.keys()


@pytest.mark.parametrize(("served", "able"), [(True, True), (True, False), (False, True)])
def test_faults_are_promised_where_containers_may_ask_and_the_machine_can(*, served: bool, able: bool) -> None:
    offered = attributes(replace(DEBIAN, lacks_for_faults=() if able else ("tc",)), ENGINE, Wishes(faults=served))

    assert (Attribute("ecs.capability.fault-injection") in offered) is (served and able)
    assert rules.wishes(Settings(), task_limits=False).faults
    assert not rules.wishes(Settings(task_address="off"), task_limits=False).faults


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


NEW, OLD = "ecs.capability.", "com.amazonaws.ecs.capability."
ALL_DRIVERS = (
    "json-file",
    "syslog",
    "journald",
    "none",
    "gelf",
    "fluentd",
    "awslogs",
    "splunk",
    "logentries",
    "sumologic",
)
FULL_ENGINE = EngineOffer(
    "1.52", "1.12", frozenset(ALL_DRIVERS), frozenset({"selinux", "apparmor"}), frozenset({"local", "acme:1"})
)
FULL_WISHES = Wishes(ALL_DRIVERS, selinux=True, apparmor=True, task_limits=True)
FULL_GPUS = Gpus(("GPU-1",), "550.1")
OUTPOST = "arn:aws:outposts:us-west-2:1:outpost/op-1"


@dataclass(frozen=True)
class Host:
    """A host that has everything, but for what a row takes away."""

    engine: EngineOffer = FULL_ENGINE
    wishes: Wishes = FULL_WISHES
    gpus: Gpus = FULL_GPUS
    outpost: str = OUTPOST
    machine: Machine = DEBIAN

    def told(self) -> dict[str, str]:
        found = attributes(self.machine, self.engine, self.wishes, self.gpus, self.outpost)
        return {one.name: one.value for one in found}

    def outside(self) -> "Host":
        return replace(self, wishes=replace(self.wishes, external=True))


def without(**lacks: object) -> Host:
    return Host(wishes=replace(FULL_WISHES, **lacks))  # type: ignore[arg-type] # fields of Wishes


def speaking(newest: str) -> Host:
    return Host(engine=replace(FULL_ENGINE, api_version=newest))


def lacking_driver(name: str) -> Host:
    return Host(engine=replace(FULL_ENGINE, log_drivers=FULL_ENGINE.log_drivers - {name}))


PROMISED: list[tuple[str, str, list[Host]]] = [
    # name, value, and the hosts that do not have it
    (NEW + "container-ordering", "", []),
    (NEW + "full-sync", "", []),
    (NEW + "network.container-port-range", "", []),
    (NEW + "container-restart-policy", "", []),
    (OLD + "privileged-container", "", [without(privileged=False)]),
    *((f"{OLD}docker-remote-api.1.{minor}", "", [speaking(f"1.{minor - 1}")]) for minor in ALL_VERSIONS),
    *(
        (f"{OLD}logging-driver.{name}", "", [without(log_drivers=()), lacking_driver(name)])
        for name in ALL_DRIVERS
        if name != "none"
    ),
    (OLD + "logging-driver.none", "", [without(log_drivers=()), speaking("1.18")]),
    (OLD + "logging-driver.json-file", "", [speaking("1.17")]),
    (OLD + "logging-driver.syslog", "", [speaking("1.17")]),
    (OLD + "logging-driver.journald", "", [speaking("1.18")]),
    (OLD + "logging-driver.gelf", "", [speaking("1.19")]),
    (OLD + "logging-driver.fluentd", "", [speaking("1.19")]),
    (OLD + "logging-driver.awslogs", "", [speaking("1.20")]),
    (OLD + "logging-driver.splunk", "", [speaking("1.21")]),
    (OLD + "logging-driver.logentries", "", [speaking("1.24")]),
    (OLD + "logging-driver.sumologic", "", [speaking("1.28")]),
    (
        OLD + "selinux",
        "",
        [without(selinux=False), Host(engine=replace(FULL_ENGINE, security=frozenset({"apparmor"})))],
    ),
    (
        OLD + "apparmor",
        "",
        [without(apparmor=False), Host(engine=replace(FULL_ENGINE, security=frozenset({"selinux"})))],
    ),
    (NEW + "task-cpu-mem-limit", "", [without(task_limits=False), speaking("1.21")]),
    (NEW + "increased-task-cpu-limit", "", [without(task_limits=False)]),
    (NEW + "container-health-check", "", [without(health_checks=False), speaking("1.23")]),
    (NEW + "docker-plugin.local", "", []),
    (NEW + "docker-plugin.acme.1", "", [Host(engine=replace(FULL_ENGINE, volume_drivers=frozenset()))]),
    (NEW + "nvidia-driver-version.550.1", "", [Host(gpus=Gpus())]),
    (NEW + "gpu-driver-version", "550.1", [Host(gpus=Gpus())]),
    ("ecs.os-type", "linux", []),
    ("ecs.os-family", "LINUX", []),
    ("ecs.os-type-detailed", "debian_12", []),
    ("ecs.outpost-arn", OUTPOST, [Host(outpost="")]),
]


@pytest.mark.parametrize(("name", "value", "lacking"), PROMISED)
def test_each_attribute_is_told_under_its_condition_and_under_no_other(
    name: str, value: str, lacking: list[Host]
) -> None:
    assert Host().told()[name] == value
    assert Host().outside().told()[name] == value  # nothing of what is promised is lost outside of AWS
    for host in lacking:
        assert name not in host.told()


def test_the_table_is_whole() -> None:
    told = Host().outside().told()
    assert told.keys() == {name for name, _, _ in PROMISED} | {NEW + "external"}
    assert not told.keys() & WITHHELD.keys()


@pytest.mark.parametrize(
    ("kernel", "told"), [("x86_64", "x86_64"), ("aarch64", "arm64"), ("i686", "i386"), ("riscv64", "riscv64")]
)
def test_outside_of_aws_ecs_is_told_the_architecture_in_its_own_words(kernel: str, told: str) -> None:
    host = Host(machine=replace(DEBIAN, architecture=kernel))
    assert host.outside().told()["ecs.cpu-architecture"] == told
    assert "ecs.cpu-architecture" not in host.told()
    assert (NEW + "external" in host.told(), NEW + "external" in host.outside().told()) == (False, True)


def test_the_operator_may_say_what_the_operating_system_is_called() -> None:
    assert without(detailed_os="amzn_2023").told()["ecs.os-type-detailed"] == "amzn_2023"


def test_roles_of_tasks_are_promised_where_containers_are_served_credentials() -> None:
    both = {OLD + "task-iam-role", OLD + "task-iam-role-network-host"}

    assert names(wishes=Wishes(task_roles=True, task_roles_on_host=True)) & both == both
    assert names(wishes=Wishes(task_roles=True)) & both == {OLD + "task-iam-role"}
    assert not names(wishes=Wishes()) & both
    assert not rules.wishes(Settings(task_address="off"), task_limits=False).task_roles
    assert not rules.wishes(Settings(task_address="off"), task_limits=False).task_roles_on_host
    assert rules.wishes(Settings(task_iam_role=False), task_limits=False).task_roles_on_host


@pytest.mark.parametrize(
    ("drivers", "served", "promised"),
    [(("awslogs",), True, True), (("syslog",), True, False), (("awslogs",), False, False)],
)
def test_logs_by_the_execution_role_are_promised_where_docker_is_served_and_writes_to_aws(
    *, drivers: tuple[str, ...], served: bool, promised: bool
) -> None:
    assert (NEW + "execution-role-awslogs" in names(wishes=Wishes(drivers, log_roles=served))) is promised
    assert rules.wishes(Settings(), task_limits=False).log_roles
    assert not rules.wishes(Settings(task_address="off"), task_limits=False).log_roles


REFERENCE = """
    private-registry-authentication.secretsmanager secrets.ssm.environment-variables secrets.ssm.bootstrap.log-driver
    ecr-endpoint secrets.asm.environment-variables secrets.asm.bootstrap.log-driver env-files.s3
    task-eni task-eni.ipv6 cni-plugin-version task-eni-block-instance-metadata task-eni-trunking
    branch-cni-plugin-version execution-role-ecr-pull pid-ipc-namespace-sharing aws-appmesh
    task-eia task-eia.optimized-cpu firelens.fluentd firelens.fluentbit firelens.non-root-user efs storage.s3-files
    firelens.options.config.file firelens.options.config.s3 gmsa gmsa-domainless efsAuth execute-command
    service-connect-v1 storage.ebs-task-volume-attach storage.ebsta-non-root-user ipv6-only
    imds-iam-roles fsxWindowsFileServer
"""
REFERENCE_OLD = """
    ecr-auth logging-driver.awsfirelens
    logging-driver.awsfirelens.log-driver-buffer-limit
"""


@pytest.mark.parametrize(
    "name", [*(NEW + one for one in REFERENCE.split()), *(OLD + one for one in REFERENCE_OLD.split())]
)
def test_what_the_reference_agent_promises_and_this_one_does_not_has_a_reason(name: str) -> None:
    assert WITHHELD[name]
    assert name not in Host().told()
    assert name not in Host().outside().told()
