"""What the samples of a container come to in a frame of metrics ("agent endpoints", stats sets). Pure."""

from collections.abc import Callable, Sequence
from math import isnan

from agent.model.figures import Interface
from agent.tcs.ring import Entry, Ring
from agent.wire.tcs_metrics import (
    ContainerMetric,
    CWStatsSet,
    NetworkStatsSet,
    RestartStatsSet,
    StorageStatsSet,
    ULongStatsSet,
    count_set,
    level_set,
)

LEAST = 2
"""Samples that must be there, told or not: one alone says nothing of what a processor did."""
NOTHING = Interface()


def metric(name: str, ring: Ring, *, has_network: bool, has_policy: bool) -> ContainerMetric | None:
    """The figures that ECS has not heard of yet; None where there are too few.

    *has_network*: is it to be told of the network; *has_policy*: of restarts?
    """
    told, fresh = ring.split()
    cpu = _levels([one.cpu for one in fresh])
    if len(told) + len(fresh) < LEAST or cpu is None:
        return None
    return ContainerMetric(
        container_name=name,
        cpu_stats_set=cpu,
        memory_stats_set=level_set([one.memory for one in fresh]),
        network_stats_set=_network(fresh) if has_network else None,
        restart_stats_set=_restarts(told, fresh) if has_policy else None,
        storage_stats_set=StorageStatsSet(
            count_set([one.read_bytes for one in fresh]), count_set([one.written_bytes for one in fresh])
        ),
    )


def _levels(values: Sequence[float]) -> CWStatsSet | None:
    usable = [value for value in values if not isnan(value)]
    return level_set(usable) if usable else None


def _network(fresh: Sequence[Entry]) -> NetworkStatsSet | None:
    """Counters as they are. A sample in which the network could not be read counts as nothing."""
    if all(one.network is None for one in fresh):
        return None

    def counts(counter: Callable[[Interface], int]) -> ULongStatsSet:
        return count_set([counter(one.network or NOTHING) for one in fresh])

    return NetworkStatsSet(
        rx_bytes=counts(lambda one: one.rx_bytes),
        rx_bytes_per_second=_levels([one.rx_rate for one in fresh]),
        rx_dropped=counts(lambda one: one.rx_dropped),
        rx_errors=counts(lambda one: one.rx_errors),
        rx_packets=counts(lambda one: one.rx_packets),
        tx_bytes=counts(lambda one: one.tx_bytes),
        tx_bytes_per_second=_levels([one.tx_rate for one in fresh]),
        tx_dropped=counts(lambda one: one.tx_dropped),
        tx_errors=counts(lambda one: one.tx_errors),
        tx_packets=counts(lambda one: one.tx_packets),
    )


def _restarts(told: Sequence[Entry], fresh: Sequence[Entry]) -> RestartStatsSet | None:
    before = told[-1] if told else fresh[0]
    count = fresh[-1].restarts - before.restarts
    return RestartStatsSet(count) if count >= 0 else None
