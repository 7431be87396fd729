"""What the operator's settings and this machine mean for decisions and promises."""

from agent.config.settings import Settings
from agent.host.capabilities import Wishes, api_version
from agent.host.resources import Machine, Reservations, cpu_units, memory_mib, reserved_tcp
from agent.model.devices import NO_GPUS, Gpus
from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.model.identity import Identity
from agent.model.rules import Rules
from agent.model.seen import EngineFacts

FIRST_FOR_ALL, LAST_PORT = 1024, 65535
"""Ports below are for privileged programs."""
ENOUGH_PORTS = 1000

OLDEST_API = (1, 21)
"""Of Docker; ECS's own agent needs the same."""


def rules(
    settings: Settings,
    machine: Machine,
    kept: Reservations,
    facts: EngineFacts,
    identity: Identity,
    *,
    task_limits: bool,
    gpus: Gpus = NO_GPUS,
) -> Rules:
    """What the engine goes by. CPU and memory are those that ECS is told of. Raises Fatal where too much is reserved.

    *gpus* are those that were found until now: where there are none, and the operator wants some, they may still come.
    """
    first, last = settings.dynamic_host_port_range or ports_beside(machine.port_range)
    return Rules(
        stop_timeout=settings.stop_timeout,
        cleanup_wait=settings.cleanup_wait,
        cleanup_jitter=settings.cleanup_wait_jitter,
        pull_behavior=settings.pull_behavior,
        first_port=first,
        last_port=last,
        reserved_tcp=reserved_tcp(machine, kept),
        reserved_udp=frozenset(settings.reserved_ports_udp),
        cpu=cpu_units(machine),
        memory=memory_mib(machine, kept),
        gpus=frozenset(gpus.ids) if gpus.ids or not settings.enable_gpu_support else None,
        task_limits=task_limits,
        cgroup_version=cgroup_version(facts),
        cpu_period=settings.cgroup_cpu_period,
        pids_limit=settings.task_pids_limit,
        propagates_memory=settings.propagate_task_memory_limit,
        agent=identity.agent_id,
        instance=identity.instance_arn,
    )


def reservations(settings: Settings, endpoint: str) -> Reservations:
    """What is kept from tasks. *endpoint* is that of the ECS API: it may stand on this machine."""
    return Reservations(settings.reserved_memory, settings.reserved_ports, settings.reserved_ports_udp, endpoint)


def ports_beside(kernels: tuple[int, int]) -> tuple[int, int]:
    """The ports given to tasks that ask for any: above those that the kernel gives to outgoing connections, or below.

    Out of the kernel's own range a port that is free now is taken by somebody's connection before Docker has it. Where
    the kernel leaves too few, its range has to do.
    """
    first, last = kernels
    for place in ((last + 1, LAST_PORT), (FIRST_FOR_ALL, first - 1)):
        if place[1] - place[0] >= ENOUGH_PORTS:
            return place
    return kernels


def cgroup_version(facts: EngineFacts) -> int:
    """The version that Docker uses."""
    return 2 if facts.cgroup_version == "2" else 1


def check_docker(facts: EngineFacts) -> None:
    """Raises Fatal where Docker is older than what the agent asks of it."""
    if api_version(facts.api_version) < OLDEST_API:
        text = f"Docker speaks its API only up to version {facts.api_version}, and the agent needs 1.21 at least"
        raise Fatal(text, NOT_WORTH_A_RESTART)


def lack_of_docker(facts: EngineFacts) -> str:
    """Why Docker could not put containers into the cgroup of a task; ``""`` if it can."""
    if cgroup_version(facts) == 1 and facts.cgroup_driver == "systemd":
        return "Docker leaves cgroups to systemd, which on cgroup v1 knows no parents of the kind that tasks have"
    return ""


def lack_of_gpu_runtime(settings: Settings, facts: EngineFacts) -> str:
    """Why Docker could not give GPUs to containers inside AWS; ``""`` if it can, or where it is not asked that way."""
    if settings.external or settings.nvidia_runtime in facts.runtimes:
        return ""
    return f"Docker has no runtime {settings.nvidia_runtime!r} (ECS_NVIDIA_RUNTIME), so no container can use a GPU"


def limits_tasks(settings: Settings, lack: str) -> bool:
    """Does each task get a cgroup? *lack* says why there can be none. Raises Fatal where the operator insists."""
    if settings.task_cpu_mem_limit and lack:
        raise Fatal(f"ECS_ENABLE_TASK_CPU_MEM_LIMIT: tasks cannot be limited: {lack}", NOT_WORTH_A_RESTART)
    return settings.task_cpu_mem_limit is not False and not lack


def wishes(settings: Settings, *, task_limits: bool) -> Wishes:
    """What the operator wants ECS to be promised."""
    return Wishes(
        log_drivers=settings.available_logging_drivers,
        privileged=not settings.disable_privileged,
        selinux=settings.selinux_capable,
        apparmor=settings.apparmor_capable,
        health_checks=not settings.disable_docker_health_check,
        task_limits=task_limits,
        external=settings.external,
        faults=serves_tasks(settings),
        log_roles=serves_tasks(settings),
        task_roles=settings.task_iam_role and serves_tasks(settings),
        task_roles_on_host=settings.task_iam_role_network_host and serves_tasks(settings),
        detailed_os=settings.detailed_os_family,
    )


def serves_tasks(settings: Settings) -> bool:
    """Are containers answered what they ask?"""
    return settings.task_address != "off"
