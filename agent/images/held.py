"""Which images tasks hold, from the moment a task is known until it is cleaned up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.model.decision import Decision
from agent.model.names import Image, TaskArn
from agent.model.task import Task


@dataclass(frozen=True, slots=True)
class _Holding:
    images: tuple[Image, ...]
    until: datetime | None
    """When the task stopped."""


class Held:
    """Images by task. Hears of every commit."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._of: dict[TaskArn, _Holding] = {task.arn: _holding(task) for task in tasks}

    def hear(self, decision: Decision) -> Mapping[Image, datetime | None]:
        """Take in what was committed; gives the images of tasks that are no more, and when these stopped."""
        gone: dict[Image, datetime | None] = {}
        for holding in [self._of.pop(arn) for arn in decision.forgotten if arn in self._of]:
            for image in holding.images:
                gone[image] = max(filter(None, (gone.get(image), holding.until)), default=None)
        for task in decision.tasks:  # of one that was found by its labels, more containers come to be known
            self._of[task.arn] = _holding(task)
        return gone

    def images(self) -> frozenset[Image]:
        """All that are held now."""
        return frozenset(image for holding in self._of.values() for image in holding.images)


def _holding(task: Task) -> _Holding:
    return _Holding(tuple({spec.image for spec in task.spec.containers}), task.stopped_at)
