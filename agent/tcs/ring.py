"""The samples of one container that ECS has yet to hear of, as figures of the protocol. Pure.

A sample counts as told when the frame that holds it has been written, not before: one that could not be sent goes with
the next frame. The ring holds 80 samples, four times as many as are taken between two frames; of longer outages the
beginning is lost.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import nan

from agent.model.figures import Interface, Sample

CAPACITY = 80
KEPT_OF_SENT = 2
"""Samples that were told and are kept: for a set there must be two, and restarts are counted from the last one told."""
MIB = 1 << 20
PER_CENT = 100.0
_OF_TASK_NETWORKS = "ecs-eth0"
"""The end inside a task of the link by which it reaches this agent: none of its traffic."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample, in the units of the protocol. Rates are NaN where there is nothing to compare with."""

    number: int
    at: datetime
    processor_time: int
    """Nanoseconds, divided by the processors of the host."""
    cpu: float
    """Per cent of the whole host."""
    memory: int
    """MiB, whole."""
    read_bytes: int
    written_bytes: int
    network: Interface | None
    """All interfaces together."""
    rx_rate: float
    tx_rate: float
    """Bytes a second."""
    restarts: int


@dataclass(slots=True)
class Ring:
    """What is known of one container, the oldest first."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=CAPACITY))
    _sent: int = 0
    """The number of the last entry that was told."""

    def add(self, sample: Sample, *, processors: int, restarts: int = 0) -> None:
        """Take *sample* in; a full ring lets its oldest entry go."""
        last = self.entries[-1] if self.entries else None
        time, network = sample.cpu // processors, total(sample.network)
        cpu = rx_rate = tx_rate = nan
        if last is not None:
            nanoseconds = (sample.at - last.at) // timedelta(microseconds=1) * 1000
            if nanoseconds <= 0:  # the clock was set back
                cpu, rx_rate, tx_rate = last.cpu, last.rx_rate, last.tx_rate
            else:
                cpu = PER_CENT * _growth(last.processor_time, time) / nanoseconds
                if network is not None and last.network is not None:
                    rx_rate = 1e9 * _growth(last.network.rx_bytes, network.rx_bytes) / nanoseconds
                    tx_rate = 1e9 * _growth(last.network.tx_bytes, network.tx_bytes) / nanoseconds
        self.entries.append(
            Entry(
                last.number + 1 if last is not None else self._sent + 1,
                sample.at,
                time,
                cpu,
                sample.memory // MIB,
                sample.read_bytes,
                sample.write_bytes,
                network,
                rx_rate,
                tx_rate,
                restarts,
            )
        )

    def split(self) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """The entries that were told and are still here, and those that were not."""
        told = [one for one in self.entries if one.number <= self._sent]
        return told, [one for one in self.entries if one.number > self._sent]

    def sent(self, number: int) -> None:
        """All entries up to *number* were told."""
        self._sent = max(self._sent, number)
        while len(self.entries) > KEPT_OF_SENT and self.entries[KEPT_OF_SENT].number <= self._sent:
            self.entries.popleft()


def _growth(before: int, now: int) -> float:
    """NaN where the counter went back, as when a network was taken away: ECS takes no rate below zero."""
    return now - before if now >= before else nan


def total(network: Mapping[str, Interface] | None) -> Interface | None:
    """All interfaces together; None where there are none to be counted."""
    if network is None:
        return None
    found = [one for name, one in network.items() if name != _OF_TASK_NETWORKS]
    if len(found) == 1:
        return found[0]
    return Interface(*(sum(getattr(one, name) for one in found) for name in Interface.__slots__))
