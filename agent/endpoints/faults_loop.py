"""Ends faults in the network of the host when the tasks that asked for them have ended.

A fault in a container's own network ends with that network. Nothing is saved: an agent that starts finds what is there
by its name, and no longer knows who asked. It leaves it as long as any task runs here that may have.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

import structlog

from agent.endpoints.ports import Faults, Tasks
from agent.model.decision import Decision
from agent.model.faults import HOST_NETWORK, Blackhole, Fault, FaultOp, Outcome
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task

log = structlog.get_logger()

PAUSE = 30.0
"""Seconds until what could not be ended is tried again."""


@dataclass(slots=True)
class _Running:
    fault: Fault
    asked_by: set[TaskArn] = field(default_factory=set)
    """Nobody for one that was here before us."""


class HostFaults:
    """The faults in the network of the host, and the tasks that asked for them."""

    def __init__(self, tasks: Tasks, faults: Faults, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tasks = tasks
        self._faults = faults
        self._pause = pause
        self._running: dict[Hashable, _Running] = {}
        self._news = asyncio.Event()

    async def start(self, fault: Fault, task: TaskArn) -> Outcome:
        """Make *fault* for *task*. The task may have ended when it is made; then it is unmade."""
        self._remember(fault, task)
        outcome = await self._faults.do(FaultOp.START, fault, HOST_NETWORK)
        if outcome is Outcome.RUNNING:
            self._remember(fault, task)
        self._news.set()
        return outcome

    async def stop(self, fault: Fault) -> Outcome:
        """Unmake *fault*, whoever asked for it."""
        outcome = await self._faults.do(FaultOp.STOP, fault, HOST_NETWORK)
        if outcome is Outcome.STOPPED:
            self._running.pop(_name(fault), None)
        return outcome

    def hear(self, decided: Decision) -> None:
        """Something was decided and committed."""
        if self._running and (decided.forgotten or any(task.known is Status.STOPPED for task in decided.tasks)):
            self._news.set()

    async def run(self) -> None:
        """Run for ever."""
        for fault in await self._faults.on_host():
            self._running.setdefault(_name(fault), _Running(fault))
            log.info("fault_found", fault=str(fault))
        while True:
            self._news.clear()
            failed = False
            for one in [one for one in self._running.values() if self._is_over(one)]:
                outcome = await self.stop(one.fault)
                failed |= outcome is not Outcome.STOPPED
                log.info("fault_outlived_its_task", fault=str(one.fault), came_of_it=outcome.value)
            await (self._pause(PAUSE) if failed else self._news.wait())

    def _remember(self, fault: Fault, task: TaskArn) -> None:
        self._running.setdefault(_name(fault), _Running(fault)).asked_by.add(task)

    def _is_over(self, one: _Running) -> bool:
        if one.asked_by:
            return not any(_runs(self._tasks.tasks.get(arn)) for arn in one.asked_by)
        return not any(_runs(task) and _may_ask(task) for task in self._tasks.tasks.values())


def _runs(task: Task | None) -> bool:
    return task is not None and task.known is not Status.STOPPED


def _may_ask(task: Task) -> bool:
    return task.spec.fault_injection and task.spec.network_mode == "host"


def _name(fault: Fault) -> Hashable:
    """What tells it from others: a port can be cut in four ways, and a network is slow or it is not."""
    return (fault.port, fault.transport, fault.traffic) if isinstance(fault, Blackhole) else fault.kind
