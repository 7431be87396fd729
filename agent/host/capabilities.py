"""What we can do, in the attributes by which ECS chooses instances for tasks.

An attribute is a promise: ECS sends tasks that need it. So only what works today is promised. The table below is the
whole truth, and a capability that comes to work is a line that moves from WITHHELD to the function above it.

========================================================  ===========================================================
promised                                                  when
========================================================  ===========================================================
``com.amazonaws.ecs.capability.docker-remote-api.*``      the engine speaks the version, or a later one (see VERSIONS)
``com.amazonaws.ecs.capability.logging-driver.*``         the operator lists the driver and the engine has it
``com.amazonaws.ecs.capability.privileged-container``     unless ``ECS_DISABLE_PRIVILEGED``
``com.amazonaws.ecs.capability.selinux``, ``apparmor``    the operator says so and the engine has it
``ecs.capability.container-ordering``                     always
``ecs.capability.container-restart-policy``               always
``ecs.capability.full-sync``                              always: ECS's list of tasks is answered
``ecs.capability.network.container-port-range``           always
``ecs.capability.container-health-check``                 the engine speaks 1.24, unless
                                                          ``ECS_DISABLE_DOCKER_HEALTH_CHECK``; health is kept and obeyed
                                                          here, and sent to ECS
``ecs.capability.task-cpu-mem-limit``,                    tasks have cgroups: the operator wants them, the machine lets
``ecs.capability.increased-task-cpu-limit``               us make them; for the first the engine speaks 1.22
``ecs.capability.docker-plugin.local``                    always
``ecs.capability.docker-plugin.*``                        the engine has the volume driver, or its folder the plugin
``ecs.capability.nvidia-driver-version.*``,               the operator wants GPUs, and there are some whose driver says
``ecs.capability.gpu-driver-version``                     its version
``ecs.capability.fault-injection``                        containers are answered what they ask, and the machine has
                                                          iptables, tc, nsenter and unshare, and its kernel netem
``ecs.capability.execution-role-awslogs``                 Docker is served credentials, and its log driver awslogs is
                                                          promised
``ecs.capability.external``                               ``ECS_EXTERNAL``
``com.amazonaws.ecs.capability.task-iam-role``,           containers are answered (``DOCKWORKER_TASK_ADDRESS``), and
``...task-iam-role-network-host``                         unless ``ECS_ENABLE_TASK_IAM_ROLE[_NETWORK_HOST]`` is false;
                                                          the engine speaks 1.17
========================================================  ===========================================================

Bridge, host and none networks, static and dynamic tcp and udp ports, environment, command, entry point, start and stop
timeouts, links, mounts and the host's PID and IPC namespaces need no attribute of an instance. ECS does ask for
``pid-ipc-namespace-sharing`` where a task definition names a namespace, whichever it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.host.resources import Machine
from agent.model.devices import NO_GPUS, Gpus
from agent.model.identity import Attribute

OLD = "com.amazonaws.ecs.capability."
NEW = "ecs.capability."

VERSIONS = tuple((1, minor) for minor in range(17, 33) if minor not in (26, 27, 31))
"""Docker API versions that ECS knows as attributes. It limits how many an instance has, hence the gaps and the end."""
ALL_IMPLIED_FROM = (1, 24)
"""An engine that no longer answers versions below this still does what they did, and tasks ask for them by name."""

DRIVERS = {
    "json-file": (1, 18),
    "syslog": (1, 18),
    "journald": (1, 19),
    "none": (1, 19),
    "gelf": (1, 20),
    "fluentd": (1, 20),
    "awslogs": (1, 21),
    "splunk": (1, 22),
    "logentries": (1, 25),
    "sumologic": (1, 29),
}
"""Log drivers that ECS knows, and the Docker API version since which."""
AWS_LOGS = "logging-driver.awslogs"
IN_EVERY_ENGINE = "none"
"""Not in the engine's list of drivers, because it is none."""

WITHHELD = {
    OLD + "ecr-auth": "nobody fetches the login",
    OLD + "logging-driver.awsfirelens": "no log router",
    NEW + "execution-role-ecr-pull": "nobody fetches the login",
    NEW + "ecr-endpoint": "nobody fetches the login",
    NEW + "private-registry-authentication.secretsmanager": "nobody fetches the login",
    NEW + "secrets.ssm.environment-variables": "nobody fetches them",
    NEW + "secrets.asm.environment-variables": "nobody fetches them",
    NEW + "secrets.ssm.bootstrap.log-driver": "nobody fetches them",
    NEW + "secrets.asm.bootstrap.log-driver": "nobody fetches them",
    NEW + "env-files.s3": "nobody fetches them",
    NEW + "task-eni": "no awsvpc network",
    NEW + "task-eni.ipv6": "no awsvpc network",
    NEW + "task-eni-trunking": "no awsvpc network",
    NEW + "task-eni-block-instance-metadata": "no awsvpc network",
    NEW + "cni-plugin-version": "no awsvpc network",
    NEW + "branch-cni-plugin-version": "no awsvpc network",
    NEW + "aws-appmesh": "no awsvpc network",
    NEW + "service-connect-v1": "no awsvpc network",
    NEW + "imds-iam-roles": "nobody looks for roles in instance metadata",
    NEW + "pid-ipc-namespace-sharing": "no namespaces shared by a task, though those of the host work",
    NEW + "efs": "never tried with a real file system",
    NEW + "efsAuth": "never tried with a real file system",
    NEW + "execute-command": "no exec sessions",
    NEW + "firelens.fluentd": "no log router",
    NEW + "firelens.fluentbit": "no log router",
    NEW + "firelens.non-root-user": "no log router",
    NEW + "firelens.options.config.file": "no log router",
    NEW + "firelens.options.config.s3": "no log router",
    OLD + "logging-driver.awsfirelens.log-driver-buffer-limit": "no log router",
    NEW + "storage.s3-files": "nobody mounts them",
    NEW + "storage.ebs-task-volume-attach": "volumes are attached, and nobody mounts them",
    NEW + "storage.ebsta-non-root-user": "volumes are attached, and nobody mounts them",
    NEW + "gmsa": "nobody fetches the accounts",
    NEW + "gmsa-domainless": "nobody fetches the accounts",
    NEW + "task-eia": "Elastic Inference is no more",
    NEW + "task-eia.optimized-cpu": "Elastic Inference is no more",
    NEW + "fsxWindowsFileServer": "for Windows",
    NEW + "ipv6-only": "not tried on such a host",
}
"""Capabilities that ECS's own agent has and we do not promise, and what is missing."""

LIMITS_SINCE, HEALTH_SINCE = (1, 22), (1, 24)
"""The Docker API versions that brought what task limits and health checks need."""
LATEST = ":latest"
ARCHITECTURES = {"aarch64": "arm64", "i686": "i386", "i586": "i386"}
"""What ECS calls what the kernel calls otherwise."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9_./-]{1,100}")
"""What ECS takes in the name of an attribute, behind our part of it."""
PLAIN_VALUE = re.compile(r"[\w.@/: -]{1,128}", re.ASCII)
"""What ECS takes as the value of an attribute."""


@dataclass(frozen=True, slots=True)
class EngineOffer:
    """What the Docker Engine says of itself. `security` holds names such as ``apparmor`` and ``selinux``."""

    api_version: str
    min_api_version: str
    log_drivers: frozenset[str] = frozenset()
    security: frozenset[str] = frozenset()
    volume_drivers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator wants to promise."""

    log_drivers: tuple[str, ...] = ("json-file", "none")
    privileged: bool = True
    selinux: bool = False
    apparmor: bool = False
    health_checks: bool = True
    task_limits: bool = False
    """True if tasks have cgroups; a matter of the machine too."""
    external: bool = False
    faults: bool = False
    """True if containers are answered when they ask for faults in their network; a matter of the machine too."""
    log_roles: bool = False
    """True if Docker is served the credentials with which it writes logs."""
    task_roles: bool = False
    """True if containers of tasks are served credentials; ``bridge`` and ``none``."""
    task_roles_on_host: bool = False
    """The same for tasks in the network of the host."""
    detailed_os: str = ""
    """What the operator calls the operating system; empty goes by the machine."""


def attributes(
    machine: Machine, engine: EngineOffer, wishes: Wishes, gpus: Gpus = NO_GPUS, outpost_arn: str = ""
) -> tuple[Attribute, ...]:
    """Capabilities and facts of the host, without the operator's own attributes."""
    promised = [OLD + name for name in _old(engine, wishes)]
    promised += [NEW + name for name in _new(machine, engine, wishes)]
    return (
        *(Attribute(name) for name in dict.fromkeys(promised)),
        *_drivers(gpus),
        Attribute("ecs.os-type", "linux"),
        Attribute("ecs.os-family", "LINUX"),
        Attribute("ecs.os-type-detailed", wishes.detailed_os or detailed_os_of(machine)),
        *_place(machine, outpost_arn, external=wishes.external),
    )


def api_versions(engine: EngineOffer) -> tuple[tuple[int, int], ...]:
    """The versions to promise: those the engine answers, and all lower ones once it has outgrown the oldest."""
    lowest, highest = api_version(engine.min_api_version), api_version(engine.api_version)
    if lowest >= ALL_IMPLIED_FROM:
        lowest = VERSIONS[0]
    return tuple(version for version in VERSIONS if lowest <= version <= highest)


def _old(engine: EngineOffer, wishes: Wishes) -> Iterator[str]:
    if wishes.privileged:
        yield "privileged-container"
    versions = api_versions(engine)
    yield from (f"docker-remote-api.{major}.{minor}" for major, minor in versions)
    for driver in dict.fromkeys(wishes.log_drivers):
        known_since = DRIVERS.get(driver)
        has_it = driver in engine.log_drivers or driver == IN_EVERY_ENGINE
        if known_since is not None and has_it and api_version(engine.api_version) >= known_since:
            yield f"logging-driver.{driver}"
    if wishes.task_roles and versions:
        yield "task-iam-role"
    if wishes.task_roles_on_host and versions:
        yield "task-iam-role-network-host"
    if wishes.selinux and "selinux" in engine.security:
        yield "selinux"
    if wishes.apparmor and "apparmor" in engine.security:
        yield "apparmor"


def _new(machine: Machine, engine: EngineOffer, wishes: Wishes) -> Iterator[str]:
    spoken = api_version(engine.api_version)
    yield from ("container-ordering", "network.container-port-range", "container-restart-policy", "full-sync")
    if wishes.task_limits:
        if spoken >= LIMITS_SINCE:
            yield "task-cpu-mem-limit"
        yield "increased-task-cpu-limit"
    if wishes.health_checks and spoken >= HEALTH_SINCE:
        yield "container-health-check"
    yield "docker-plugin.local"
    for driver in sorted(engine.volume_drivers | machine.plugins):
        yield from _plugin(driver)
    if wishes.faults and not machine.lacks_for_faults:
        yield "fault-injection"
    if wishes.log_roles and AWS_LOGS in _old(engine, wishes):
        yield "execution-role-awslogs"
    if wishes.external:
        yield "external"


def _drivers(gpus: Gpus) -> Iterator[Attribute]:
    """Of a driver whose version ECS would not give back as it was sent, nothing is said."""
    if gpus.ids and PLAIN_NAME.fullmatch(gpus.driver):
        yield Attribute(f"{NEW}nvidia-driver-version.{gpus.driver}")
        yield Attribute(f"{NEW}gpu-driver-version", gpus.driver)


def _place(machine: Machine, outpost_arn: str, *, external: bool) -> Iterator[Attribute]:
    """What ECS learns of an EC2 instance by its identity document, it must be told of any other machine."""
    if external and machine.architecture:
        yield Attribute("ecs.cpu-architecture", ARCHITECTURES.get(machine.architecture, machine.architecture))
    if outpost_arn:
        yield Attribute("ecs.outpost-arn", outpost_arn)


def _plugin(driver: str) -> Iterator[str]:
    """A managed plugin is called ``name:tag``. Attributes know no colon, and tasks may leave out ``latest``."""
    name = driver.replace(":", ".")
    if not PLAIN_NAME.fullmatch(name):
        return
    yield f"docker-plugin.{name}"
    if driver.endswith(LATEST):
        yield f"docker-plugin.{driver.removesuffix(LATEST)}"


def detailed_os_of(machine: Machine) -> str:
    """Such as ``debian_12``. ECS must give the value back as it was sent, so an odd one is not sent at all."""
    text = "_".join(part for part in (machine.os_id, machine.os_version) if part)
    return text if PLAIN_VALUE.fullmatch(text) else "LINUX"


def api_version(text: str) -> tuple[int, int]:
    """Such as ``1.41``, in numbers that can be compared; (0, 0) for what is no version."""
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
