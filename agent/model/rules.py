"""The settings that decisions depend on."""

from dataclasses import dataclass
from datetime import timedelta

from agent.model.status import PullBehavior


@dataclass(frozen=True, slots=True)
class Rules:
    """What the engine goes by. Fixed for the life of the process."""

    stop_timeout: timedelta = timedelta(seconds=30)
    cleanup_wait: timedelta = timedelta(hours=3)
    pull_behavior: PullBehavior = PullBehavior.DEFAULT
    first_port: int = 49153
    last_port: int = 65535
    reserved_tcp: frozenset[int] = frozenset()
    """Ports never handed to a task: the agent's own, the control plane's, what the operator reserved."""
    reserved_udp: frozenset[int] = frozenset()
    agent: str = ""
    """Id of this installation; containers that carry it in a label are ours."""
    instance: str = ""
    """ARN of the container instance; containers that carry it are taken over when the journal was lost."""
