"""What a task takes of its host, and how much of the host is taken."""

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self, TypeVar

from agent.model.rules import Rules
from agent.model.status import Status
from agent.model.task import Task, TaskSpec, Transport

Port = tuple[Transport, int]
T = TypeVar("T")

UNITS = 1024
"""CPU units of one processor."""

PUBLISHING = ("", "bridge", "host")
"""The network modes in which a fixed port is a port of the host."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """CPU units, MiB of memory, fixed host ports and GPUs."""

    cpu: int = 0
    memory: int = 0
    ports: frozenset[Port] = frozenset()
    gpus: frozenset[str] = frozenset()


def of_spec(spec: TaskSpec) -> Amounts:
    """What a task takes: its own CPU and memory, or those of its containers together."""
    return Amounts(
        cpu=round(spec.cpu * UNITS) if spec.cpu else sum(one.cpu for one in spec.containers),
        memory=spec.memory or sum(one.memory_reservation or one.memory for one in spec.containers),
        ports=frozenset(_fixed_ports(spec)) if spec.network_mode in PUBLISHING else frozenset(),
        gpus=frozenset(gpu for one in spec.containers for gpu in one.gpus),
    )


def _fixed_ports(spec: TaskSpec) -> list[Port]:
    return [
        (mapping.transport, mapping.host_port + offset)
        for one in spec.containers
        for mapping in one.ports
        if mapping.host_port
        for offset in range(mapping.count)
    ]


class Standing(StrEnum):
    """What a task has to do with the host's amounts."""

    NOTHING = "nothing"
    WAITS = "waits"
    HOLDS = "holds"
    ENDS = "ends"
    """It is wanted STOPPED, and holds its amounts until nothing of it can run any more."""


@dataclass(frozen=True, slots=True)
class Holding:
    """How a task stands, and with which amounts."""

    spec: TaskSpec
    amounts: Amounts
    standing: Standing

    @classmethod
    def of(cls, task: Task, before: "Holding | None") -> Self:
        """The holding of *task*; what was counted *before* is not counted again."""
        is_same = before is not None and before.spec is task.spec
        amounts = before.amounts if before is not None and is_same else of_spec(task.spec)
        return cls(task.spec, amounts, _standing(task))

    @property
    def holds(self) -> bool:
        """Do the amounts belong to the task now?"""
        return self.standing in (Standing.HOLDS, Standing.ENDS)


def _standing(task: Task) -> Standing:
    is_wanted = task.wanted is not Status.STOPPED
    if task.admitted is None:
        return Standing.WAITS if is_wanted and task.known is not Status.STOPPED else Standing.NOTHING
    if all(container.at_rest for container in task.containers):
        return Standing.NOTHING
    return Standing.HOLDS if is_wanted else Standing.ENDS


@dataclass(slots=True)
class Sums:
    """Amounts of several tasks together."""

    cpu: int = 0
    memory: int = 0
    ports: Counter[Port] = field(default_factory=Counter)
    gpus: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Self:
        """The same sums, to be changed apart from these."""
        return replace(self, ports=self.ports.copy(), gpus=self.gpus.copy())

    def add(self, amounts: Amounts, times: int = 1) -> None:
        """Count *amounts* in; out again with `times` -1."""
        self.cpu += times * amounts.cpu
        self.memory += times * amounts.memory
        for port in amounts.ports:
            _count(self.ports, port, times)
        for gpu in amounts.gpus:
            _count(self.gpus, gpu, times)

    def has_room(self, amounts: Amounts, rules: Rules) -> bool:
        """Does the host have *amounts* beside what is counted here?"""
        return (
            (not amounts.cpu or rules.cpu is None or self.cpu + amounts.cpu <= rules.cpu)
            and (not amounts.memory or rules.memory is None or self.memory + amounts.memory <= rules.memory)
            and not any(port in self.ports for port in amounts.ports)
            and not any(gpu in self.gpus for gpu in amounts.gpus)
        )


def _count(counter: Counter[T], key: T, times: int) -> None:
    counter[key] += times
    if not counter[key]:
        del counter[key]
