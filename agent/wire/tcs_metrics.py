"""The figures that telemetry carries: sets of samples, by container and by task ("wire protocol", TCS).

Members stand in the order of the alphabet, as the reference writes them. A sum is of all samples in the set; the
counters are as the kernel has them, not their growth.
"""

from typing import Annotated, TypeAlias

import msgspec

from agent.wire.reading import Shape

Number: TypeAlias = int | float
"""A JSON number. Whole ones are written without a fraction, as Go writes them; `number` makes one."""
Long: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
LARGEST_LONG = 2**63 - 1


class CWStatsSet(Shape, frozen=True):
    """What samples of a level come to."""

    max: Number | None = None
    min: Number | None = None
    sample_count: Long | None = None
    sum: Number | None = None


class ULongStatsSet(Shape, frozen=True):
    """What samples of a counter come to. What a long cannot hold is told by the `overflow` beside it."""

    max: Long | None = None
    min: Long | None = None
    overflow_max: Long | None = None
    overflow_min: Long | None = None
    overflow_sum: Long | None = None
    sample_count: Long | None = None
    sum: Long | None = None


class NetworkStatsSet(Shape, frozen=True):
    """All interfaces of a container together."""

    rx_bytes: ULongStatsSet | None = None
    rx_bytes_per_second: CWStatsSet | None = None
    rx_dropped: ULongStatsSet | None = None
    rx_errors: ULongStatsSet | None = None
    rx_packets: ULongStatsSet | None = None
    tx_bytes: ULongStatsSet | None = None
    tx_bytes_per_second: CWStatsSet | None = None
    tx_dropped: ULongStatsSet | None = None
    tx_errors: ULongStatsSet | None = None
    tx_packets: ULongStatsSet | None = None


class StorageStatsSet(Shape, frozen=True):
    """Bytes read from and written to block devices."""

    read_size_bytes: ULongStatsSet | None = None
    write_size_bytes: ULongStatsSet | None = None


class RestartStatsSet(Shape, frozen=True):
    """Restarts by policy since the last set."""

    restart_count: Long | None = None


class ContainerMetric(Shape, frozen=True):
    """The figures of one container, by its name in the task definition."""

    container_name: str | None = None
    cpu_stats_set: CWStatsSet | None = None
    """Per cent of all processors of the host together."""
    memory_stats_set: CWStatsSet | None = None
    """MiB, whole."""
    network_stats_set: NetworkStatsSet | None = None
    restart_stats_set: RestartStatsSet | None = None
    storage_stats_set: StorageStatsSet | None = None


class VolumeMetric(Shape, frozen=True):
    """The figures of an EBS volume."""

    size: CWStatsSet | None = None
    utilized: CWStatsSet | None = None
    volume_id: str | None = None
    volume_name: str | None = None


class TaskMetric(Shape, frozen=True):
    """The figures of one task."""

    container_metrics: list[ContainerMetric] | None = None
    task_arn: str | None = None
    task_definition_family: str | None = None
    task_definition_version: str | None = None
    volume_metrics: list[VolumeMetric] | None = None


def number(value: float) -> Number:
    """*value* as it is written."""
    return int(value) if value == int(value) else value


def count_set(values: list[int]) -> ULongStatsSet:
    """What the samples *values* of a counter come to; there is one at least."""
    least, most, total = min(values), max(values), sum(values)
    return ULongStatsSet(
        max=min(most, LARGEST_LONG),
        min=min(least, LARGEST_LONG),
        overflow_max=_overflow(most),
        overflow_min=_overflow(least),
        overflow_sum=_overflow(total),
        sample_count=len(values),
        sum=min(total, LARGEST_LONG),
    )


def level_set(values: list[float] | list[int]) -> CWStatsSet:
    """What the samples *values* of a level come to; there is one at least."""
    return CWStatsSet(
        max=number(max(values)), min=number(min(values)), sample_count=len(values), sum=number(sum(values))
    )


def _overflow(value: int) -> int:
    return value % LARGEST_LONG if value > LARGEST_LONG else 0
