"""The settings that decisions depend on."""

from dataclasses import dataclass
from datetime import timedelta

from agent.model.status import PullBehavior


@dataclass(frozen=True, slots=True)
class Rules:
    """What the engine goes by. Fixed for the life of the process, but for GPUs, which may come and go."""

    stop_timeout: timedelta = timedelta(seconds=30)
    cleanup_wait: timedelta = timedelta(hours=3)
    pull_behavior: PullBehavior = PullBehavior.DEFAULT
    first_port: int = 49153
    last_port: int = 65535
    reserved_tcp: frozenset[int] = frozenset()
    """Ports never handed to a task: the agent's own, the control plane's, what the operator reserved."""
    reserved_udp: frozenset[int] = frozenset()
    cleanup_jitter: timedelta = timedelta()
    """The wait before a cleanup is lengthened by up to this much, drawn with the task."""
    cpu: int | None = None
    """CPU units that tasks may hold at a time (1024 are one processor); None does not count them."""
    memory: int | None = None
    """MiB that tasks may hold at a time; None does not count them."""
    gpus: frozenset[str] | None = frozenset()
    """UUIDs of the GPUs of the host; None as long as nobody knows, because their driver may still come."""
    task_limits: bool = False
    """True if a task gets a cgroup of its own (``ECS_ENABLE_TASK_CPU_MEM_LIMIT``)."""
    cgroup_version: int = 1
    cpu_period: timedelta = timedelta(milliseconds=100)
    """The CFS period of a task's CPU limit (``ECS_CGROUP_CPU_PERIOD``)."""
    pids_limit: int = 0
    """Processes that a task may have (``ECS_TASK_PIDS_LIMIT``); 0 sets no limit."""
    propagates_memory: bool = False
    """On cgroup v2: a container without a limit shows the task's (``ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2``)."""
    agent: str = ""
    """Id of this installation; containers that carry it in a label are ours."""
    instance: str = ""
    """ARN of the container instance; containers that carry it are taken over when the journal was lost."""
