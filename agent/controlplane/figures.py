"""The latest figures of each container that runs, as its agent told them: in memory alone, gone with its task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agent.controlplane.records import PlaneTask
from agent.wire.tcs_metrics import ContainerMetric


@dataclass(frozen=True, slots=True)
class Figures:
    """What one container used lately, and when that was told."""

    metric: ContainerMetric = field(repr=False)
    at: datetime


class LatestFigures:
    """Figures by task and container. There are never more than there are containers of tasks that have not ended."""

    def __init__(self) -> None:
        self._tasks: dict[str, dict[str, Figures]] = {}

    def take(self, task: PlaneTask, told: Mapping[str, ContainerMetric], at: datetime) -> None:
        """Keep what is told of the containers of *task*, in place of what was told of them before."""
        names = {container.name for container in task.containers}
        fresh = {name: Figures(metric, at) for name, metric in told.items() if name in names}
        if fresh and not task.stopped:
            self._tasks.setdefault(task.arn, {}).update(fresh)

    def of(self, task: str) -> Mapping[str, Figures]:
        """The figures of a task's containers, by name. For reading."""
        return self._tasks.get(task, {})

    def keep(self, tasks: Mapping[str, PlaneTask]) -> None:
        """Forget all tasks but those among *tasks* that have not ended."""
        self._tasks = {arn: told for arn, told in self._tasks.items() if arn in tasks and not tasks[arn].stopped}
