"""The way of a task, as a client of the ECS API sees it: asked for again and again, told when it changes."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agent.cli.plane_client import ApiError, PlaneClient
from agent.cli.sample import Sample
from agent.cli.screen import Screen

STARTED_BY = "dockworker-dev"
BETWEEN_LOOKS = 0.1
INSTANCE_WITHIN = 60.0
RUNNING_WITHIN = 120.0
STOPPED_WITHIN = 120.0
MOST_AT_ONCE = 100
"""Tasks that one DescribeTasks may name."""
ORDER = ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED")
Record = Mapping[str, Any]


class WentWrong(Exception):
    """The API answers, but what it shows is not what must be."""


class Walk:
    """Calls *client* and shows on *screen* what becomes of tasks."""

    def __init__(self, client: PlaneClient, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._seen: dict[str, str] = {}

    async def instance(self, arn: str) -> None:
        """Wait until the container instance *arn* is ACTIVE and its agent connected. Raises TimeoutError."""
        async with asyncio.timeout(INSTANCE_WITHIN):
            while True:
                found = await self._client.call("DescribeContainerInstances", {"containerInstances": [arn]})
                for one in found["containerInstances"]:
                    if one["status"] == "ACTIVE" and one["agentConnected"]:
                        return
                await asyncio.sleep(BETWEEN_LOOKS)

    async def run(self, sample: Sample) -> str:
        """Run one task of *sample*; gives its ARN. Raises WentWrong if there is no place for it."""
        definition = sample.definition()
        if not await self._is_registered(definition):
            await self._client.call("RegisterTaskDefinition", definition)
        answer = await self._client.call("RunTask", {"taskDefinition": sample.family, "startedBy": STARTED_BY})
        if not answer["tasks"]:
            raise WentWrong(f"RunTask found no place for {sample.family}: {answer['failures']}")
        self._show(answer["tasks"][0])
        return str(answer["tasks"][0]["taskArn"])

    async def until(self, arn: str, status: str) -> Record:
        """Wait until the task has come as far as *status*, showing each step; gives the task. Raises TimeoutError."""
        wanted = ORDER.index(status)
        async with asyncio.timeout(RUNNING_WITHIN if status == "RUNNING" else STOPPED_WITHIN):
            while True:
                (task,) = await self._describe([arn])
                self._show(task)
                if ORDER.index(task["lastStatus"]) >= wanted:
                    return task
                await asyncio.sleep(BETWEEN_LOOKS)

    async def running(self) -> list[Record]:
        """The tasks that have not stopped, those that are about to included."""
        arns: list[str] = []
        for wanted in ("RUNNING", "STOPPED"):
            arns += (await self._client.call("ListTasks", {"desiredStatus": wanted}))["taskArns"]
        return [task for task in await self._describe(arns) if task["lastStatus"] != "STOPPED"]

    async def stop(self, arn: str) -> None:
        """Stop the task and wait until it has stopped."""
        await self._client.call("StopTask", {"task": arn, "reason": "stopped by dockworker dev"})
        await self.until(arn, "STOPPED")

    async def show_changes(self) -> None:
        """Show every task whose status changed since the last look."""
        running = await self.running()
        gone = [arn for arn, status in self._seen.items() if status != "STOPPED" and arn not in _arns(running)]
        for task in [*running, *await self._describe(gone)]:
            self._show(task)

    async def _describe(self, arns: Sequence[str]) -> list[Record]:
        tasks: list[Record] = []
        for first in range(0, len(arns), MOST_AT_ONCE):
            asked = {"tasks": arns[first : first + MOST_AT_ONCE]}
            tasks += (await self._client.call("DescribeTasks", asked))["tasks"]
        return tasks

    async def _is_registered(self, definition: Mapping[str, Any]) -> bool:
        try:
            found = await self._client.call("DescribeTaskDefinition", {"taskDefinition": definition["family"]})
        except ApiError:
            return False
        (ours,), theirs = definition["containerDefinitions"], found["taskDefinition"]["containerDefinitions"]
        return len(theirs) == 1 and all(theirs[0].get(name) == value for name, value in ours.items())

    def _show(self, task: Record) -> None:
        arn, status = str(task["taskArn"]), str(task["lastStatus"])
        if self._seen.get(arn) == status:
            return
        self._seen[arn] = status
        family = str(task["taskDefinitionArn"]).rpartition("/")[2]
        self._screen.moved(f"task {short(arn)} ({family})", status, str(task.get("stoppedReason", "")))


def short(arn: str) -> str:
    """The part of a task's ARN that people use."""
    return arn.rpartition("/")[2]


def _arns(tasks: Collection[Record]) -> set[str]:
    return {str(task["taskArn"]) for task in tasks}
