"""Which images tasks hold, from the moment a task is known until it is cleaned up."""

from collections.abc import Iterable

from agent.model.decision import Decision
from agent.model.names import Image, TaskArn
from agent.model.task import Task


class Held:
    """Images by task. Hears of every commit."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._of: dict[TaskArn, tuple[Image, ...]] = {task.arn: _images(task) for task in tasks}

    def hear(self, decision: Decision) -> frozenset[Image]:
        """Take in what was committed; gives the images of tasks that are no more."""
        gone = frozenset(image for arn in decision.forgotten for image in self._of.pop(arn, ()))
        for task in decision.tasks:
            if task.arn not in self._of:
                self._of[task.arn] = _images(task)
        return gone

    def images(self) -> frozenset[Image]:
        """All that are held now."""
        return frozenset(image for images in self._of.values() for image in images)


def _images(task: Task) -> tuple[Image, ...]:
    return tuple({spec.image for spec in task.spec.containers})
