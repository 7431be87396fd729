"""Makes faults in the network of a container or of the host, by iptables and tc, and unmakes them."""

import asyncio
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic
from weakref import WeakValueDictionary

import structlog

from agent.host import faults
from agent.host.faults import IPV4, IPV6, Command, Lifeline
from agent.host.networks_driver import PATIENCE, PROCESSES, Key, Network, Refused, open_network
from agent.model.faults import (
    HOST_NETWORK,
    Blackhole,
    Fault,
    FaultKind,
    FaultOp,
    FaultPlace,
    Latency,
    Outcome,
    PacketLoss,
)

log = structlog.get_logger()

TO_UNDO = 2.0
"""Seconds for what undoes a start that failed."""


class FaultsDriver:
    """One after the other in each network; what waits for its turn does not count as slow."""

    def __init__(self, lifelines: Sequence[Lifeline], processes: Path = PROCESSES, patience: float = PATIENCE) -> None:
        self._lifelines = tuple(lifelines)
        self._patience = patience
        self._processes = processes
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def do(self, op: FaultOp, fault: Fault, place: FaultPlace) -> Outcome:
        """Do it, or nothing: a start that fails leaves nothing behind. Cancelled, it comes to its end first."""
        job = asyncio.ensure_future(self._do(op, fault, place))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.wait([job])
            raise

    async def on_host(self) -> Sequence[Fault]:
        """The faults in the network of the host, whoever made them."""
        return await asyncio.to_thread(self._on_host)

    async def clear_host(self) -> Sequence[tuple[Fault, Outcome]]:
        """End all of them, and tell what came of it: for a machine on which no task runs any more."""
        return [(fault, await self.do(FaultOp.STOP, fault, HOST_NETWORK)) for fault in await self.on_host()]

    async def _do(self, op: FaultOp, fault: Fault, place: FaultPlace) -> Outcome:
        network = await asyncio.to_thread(open_network, place, self._processes)
        if network is None:
            return Outcome.NO_NETWORK
        with closing(network):
            turn = self._turns.setdefault(network.key, asyncio.Lock())
            async with turn:
                return await asyncio.to_thread(self._act, op, fault, network)

    def _act(self, op: FaultOp, fault: Fault, network: Network) -> Outcome:
        network.until = monotonic() + self._patience
        try:
            if isinstance(fault, Blackhole):
                return self._black_hole(op, fault, network)
            return self._flows(op, fault, network)
        except subprocess.TimeoutExpired:
            log.warning("fault_timed_out", op=op.value, fault=str(fault))
            return Outcome.TIMED_OUT
        except (Refused, ValueError) as error:
            log.warning("fault_refused", op=op.value, fault=str(fault), error=str(error))
            return Outcome.FAILED

    def _black_hole(self, op: FaultOp, fault: Blackhole, network: Network) -> Outcome:
        there = network.takes(faults.is_there(fault))
        match op:
            case FaultOp.STATUS:
                return Outcome.RUNNING if there else Outcome.NOT_RUNNING
            case FaultOp.STOP:
                _end(fault, network, strict=there)
                return Outcome.STOPPED
        if not there:
            with _undoing(network, faults.end(IPV4, fault) + faults.end(IPV6, fault)):
                self._begin(IPV4, fault, network)
                try:
                    with _undoing(network, faults.end(IPV6, fault)):
                        self._begin(IPV6, fault, network)
                except Refused as error:
                    log.debug("fault_not_for_ipv6", error=str(error))
        return Outcome.RUNNING

    def _begin(self, tool: str, fault: Blackhole, network: Network) -> None:
        first, *others = faults.begin(tool, fault, self._lifelines, host=network.host)
        if not network.takes(first):  # half of one may be left from an agent that was killed
            _quietly(network, faults.end(tool, fault))
            network.run(first)
        for command in others:
            network.run(command)

    def _flows(self, op: FaultOp, fault: Latency | PacketLoss, network: Network) -> Outcome:
        if not network.devices:
            return Outcome.NO_INTERFACE
        found = {device: faults.flaw(network.run(faults.look(device))) for device in network.devices}
        match op:
            case FaultOp.STATUS:
                return Outcome.RUNNING if fault.kind in found.values() else Outcome.NOT_RUNNING
            case FaultOp.STOP:
                for device in (one for one, kind in found.items() if kind is fault.kind):
                    for command in faults.gather(device):
                        network.run(command)
                return Outcome.STOPPED
        for kind, outcome in ((FaultKind.LATENCY, Outcome.LATENCY_RUNS), (FaultKind.LOSS, Outcome.LOSS_RUNS)):
            if kind in found.values():
                return outcome
        self._spread(fault, network, list(network.devices))
        return Outcome.RUNNING

    def _spread(self, fault: Latency | PacketLoss, network: Network, devices: list[str]) -> None:
        device, *others = devices
        first, *rest = faults.spread(device, fault, self._lifelines)
        network.run(first)  # where another has a root of his own, there is nothing of ours to undo
        with _undoing(network, faults.gather(device)):
            for command in rest:
                network.run(command)
            if others:
                self._spread(fault, network, others)

    def _on_host(self) -> Sequence[Fault]:
        network = open_network(HOST_NETWORK, self._processes)
        assert network is not None  # there is always a host
        found: dict[tuple[object, ...], Fault] = {}
        try:
            for tool in (IPV4, IPV6):
                with suppress(Refused):
                    for hole in faults.black_holes(network.run((tool, *faults.PATIENT, "-S"))):
                        found[faults.same(hole)] = hole
            for device in network.devices:
                with suppress(Refused, ValueError):
                    kind = faults.flaw(network.run(faults.look(device)))
                    if kind is not None:
                        flawed = Latency() if kind is FaultKind.LATENCY else PacketLoss()
                        found[faults.same(flawed)] = flawed
        except subprocess.TimeoutExpired as error:
            log.warning("faults_of_host_not_looked_for", error=str(error))
        return tuple(found.values())


@contextmanager
def _undoing(network: Network, commands: Iterable[Command]) -> Iterator[None]:
    """Run *commands* if the block does not come to its end; those that are refused had nothing to undo."""
    try:
        yield
    except (Refused, subprocess.TimeoutExpired):
        until, network.until = network.until, monotonic() + TO_UNDO
        try:
            _quietly(network, commands)
        except subprocess.TimeoutExpired as error:
            log.warning("fault_not_undone", error=str(error))
        network.until = until
        raise


def _end(fault: Blackhole, network: Network, *, strict: bool) -> None:
    if strict:
        for command in faults.end(IPV4, fault):
            network.run(command)
    else:
        _quietly(network, faults.end(IPV4, fault))
    _quietly(network, faults.end(IPV6, fault))


def _quietly(network: Network, commands: Iterable[Command]) -> None:
    for command in commands:
        network.takes(command)
