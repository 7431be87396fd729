"""What a task's limits are called in the files of the kernel (cgroup v1 and v2) and in systemd's properties.

Nothing here looks at a cgroup; the driver does.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from agent.model.acts import Limits

Writes = tuple[tuple[str, str], ...]
"""Files of one cgroup and what goes into them, in this order."""

MIB = 1 << 20
SECOND = 1_000_000
_LEAST_SHARES, _MOST_SHARES = 2, 262_144
_LEAST_WEIGHT, _MOST_WEIGHT = 1, 10_000

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
_FOLDERS = re.compile(rf"/?{_NAME}(/{_NAME})+")
_SLICE = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*\.slice")

CONTROLLERS = ("cpu", "memory", "pids")
"""Those of cgroup v2 that a task is limited by."""


def v1_writes(limits: Limits) -> Mapping[str, Writes]:
    """By controller. A task with a quota has no shares of its own: its containers have."""
    cpu: Writes = ()
    if limits.quota:
        cpu = (("cpu.cfs_period_us", str(limits.period)), ("cpu.cfs_quota_us", str(limits.quota)))
    elif limits.shares:
        cpu = (("cpu.shares", str(limits.shares)),)
    memory = (("memory.limit_in_bytes", str(limits.memory * MIB)),) if limits.memory else ()
    pids = (("pids.max", str(limits.pids)),) if limits.pids else ()
    return {name: writes for name, writes in (("cpu", cpu), ("memory", memory), ("pids", pids)) if writes}


def v2_writes(limits: Limits) -> Writes:
    """For the one directory that v2 has."""
    writes = []
    if limits.quota:
        writes.append(("cpu.max", f"{limits.quota} {limits.period}"))
    elif limits.shares:
        writes.append(("cpu.weight", str(weight(limits.shares))))
    if limits.memory:
        writes.append(("memory.max", str(limits.memory * MIB)))
    if limits.pids:
        writes.append(("pids.max", str(limits.pids)))
    return tuple(writes)


def properties(limits: Limits) -> tuple[tuple[str, str, str], ...]:
    """Name, D-Bus type and value of a slice's properties (systemd.resource-control)."""
    found = [("CPUAccounting", "b", "true"), ("MemoryAccounting", "b", "true"), ("TasksAccounting", "b", "true")]
    if limits.quota:
        found.append(("CPUQuotaPerSecUSec", "t", str(limits.quota * SECOND // limits.period)))
        found.append(("CPUQuotaPeriodUSec", "t", str(limits.period)))
    elif limits.shares:
        found.append(("CPUWeight", "t", str(weight(limits.shares))))
    if limits.memory:
        found.append(("MemoryMax", "t", str(limits.memory * MIB)))
    if limits.pids:
        found.append(("TasksMax", "t", str(limits.pids)))
    return tuple(found)


def weight(shares: int) -> int:
    """CPU shares as a weight of v2, by the line that every container runtime draws between the two scales."""
    bounded = min(max(shares, _LEAST_SHARES), _MOST_SHARES) - _LEAST_SHARES
    return _LEAST_WEIGHT + bounded * (_MOST_WEIGHT - _LEAST_WEIGHT) // (_MOST_SHARES - _LEAST_SHARES)


def folders(path: str) -> PurePosixPath | None:
    """The path of a v1 cgroup below its controller; None for one that could lead elsewhere, or to all tasks at once."""
    return PurePosixPath(path.lstrip("/")) if _FOLDERS.fullmatch(path) else None


def is_slice(path: str) -> bool:
    """Is *path* the name of a slice, and nothing more?"""
    return _SLICE.fullmatch(path) is not None


def slice_folders(name: str) -> PurePosixPath:
    """Where systemd puts a slice: each dash of its name is a slice above it (systemd.slice)."""
    parts = name.removesuffix(".slice").split("-")
    return PurePosixPath(*("-".join(parts[: end + 1]) + ".slice" for end in range(len(parts))))
