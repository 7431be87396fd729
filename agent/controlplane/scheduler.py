"""Where a task may go (placement). Pure: instances and their tasks in, an instance or the reason why not out.

What is left of an instance is never stored: it is what it registered minus what its tasks hold until they are STOPPED.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from agent.controlplane.records import Charge, ContainerInstance, PlaneTask

DISTINCT = "distinctInstance placement constraint unsatisfied."
CLOSENESS = ("AGENT", "ATTRIBUTE", "RESOURCE:CPU", "RESOURCE:MEMORY", "RESOURCE:GPU", "RESOURCE:PORTS", DISTINCT)
"""Reasons for a refusal, the instance that was furthest from fitting first."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of an instance. Ports are those that are taken, reserved ones included; GPUs those that are free."""

    cpu: int
    memory: int
    tcp: tuple[str, ...]
    udp: tuple[str, ...]
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """What a task asks of its instance. `alone` names the group of which the instance may hold no other task.

    Which GPUs a task gets is known when it is placed; until then it is `gpus`, their number.
    """

    charge: Charge
    gpus: int = 0
    attributes: tuple[str, ...] = ()
    architecture: str = ""
    alone: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instance, and what the tasks on it leave of it."""

    instance: ContainerInstance
    left: Remaining
    count: int
    groups: frozenset[str]

    @classmethod
    def of(cls, instance: ContainerInstance, tasks: Sequence[PlaneTask]) -> Self:
        """*instance* with *tasks* on it."""
        return cls(instance, remaining(instance, tasks), len(tasks), frozenset(task.group for task in tasks))

    def holding(self, task: PlaneTask) -> "Candidate":
        """The same instance with one task more, which fitted."""
        charge, left = task.charge, self.left
        after = Remaining(
            cpu=left.cpu - charge.cpu,
            memory=left.memory - charge.memory,
            tcp=_taken(left.tcp, charge.tcp),
            udp=_taken(left.udp, charge.udp),
            gpus=_free(left.gpus, charge.gpus),
        )
        return Candidate(self.instance, after, self.count + 1, self.groups | {task.group})


@dataclass(frozen=True, slots=True)
class Misfit:
    """No instance fits; `instance` came closest."""

    instance: str
    reason: str


def remaining(instance: ContainerInstance, tasks: Iterable[PlaneTask]) -> Remaining:
    """What *tasks*, none of them STOPPED, leave of *instance*. Never below zero, also where it came back smaller."""
    charges = [task.charge for task in tasks]
    return Remaining(
        cpu=max(0, instance.cpu - sum(charge.cpu for charge in charges)),
        memory=max(0, instance.memory - sum(charge.memory for charge in charges)),
        tcp=_taken(instance.reserved_tcp, [port for charge in charges for port in charge.tcp]),
        udp=_taken(instance.reserved_udp, [port for charge in charges for port in charge.udp]),
        gpus=_free(instance.gpus, [gpu for charge in charges for gpu in charge.gpus]),
    )


def place(candidates: Sequence[Candidate], need: Need) -> ContainerInstance | Misfit:
    """The instance with the fewest tasks among those that fit. *candidates* must not be empty."""
    misfits: list[Misfit] = []
    for candidate in sorted(candidates, key=lambda c: (c.count, c.instance.arn)):
        reason = why_not(candidate, need)
        if not reason:
            return candidate.instance
        misfits.append(Misfit(candidate.instance.arn, reason))
    return max(misfits, key=lambda misfit: CLOSENESS.index(misfit.reason))


def why_not(candidate: Candidate, need: Need) -> str:
    """The reason, in ECS's words, why the task does not fit; empty if it does."""
    instance, left = candidate.instance, candidate.left
    if not instance.connection:
        return "AGENT"
    values = dict(instance.attributes)
    if not set(need.attributes) <= set(values):
        return "ATTRIBUTE"
    if need.architecture and values.get("ecs.cpu-architecture", need.architecture) != need.architecture:
        return "ATTRIBUTE"
    scarce = _scarce(need, left)
    if scarce:
        return f"RESOURCE:{scarce}"
    if need.alone and need.alone in candidate.groups:
        return DISTINCT
    return ""


def _scarce(need: Need, left: Remaining) -> str:
    if need.charge.cpu > left.cpu:
        return "CPU"
    if need.charge.memory > left.memory:
        return "MEMORY"
    if need.gpus > len(left.gpus):
        return "GPU"
    if not (_are_free(need.charge.tcp, left.tcp) and _are_free(need.charge.udp, left.udp)):
        return "PORTS"
    return ""


def _taken(reserved: tuple[str, ...], held: Iterable[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*reserved, *(str(port) for port in sorted(held)))))


def _are_free(wanted: tuple[int, ...], taken: tuple[str, ...]) -> bool:
    return len(set(wanted)) == len(wanted) and not {str(port) for port in wanted} & set(taken)


def _free(gpus: Iterable[str], held: Iterable[str]) -> tuple[str, ...]:
    taken = set(held)
    return tuple(gpu for gpu in gpus if gpu not in taken)
