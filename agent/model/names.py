"""Types of the plain values that travel everywhere, so that one cannot be taken for another."""

from typing import NewType

TaskArn = NewType("TaskArn", str)
"""The full ARN of an ECS task."""

DockerId = NewType("DockerId", str)
"""The 64 hexadecimal digits by which Docker knows a container; empty while there is none."""

NO_ID = DockerId("")
"""Stands where Docker has not named a container yet."""

Image = NewType("Image", str)
"""An image reference as the task definition gives it, such as ``busybox:1``."""

Step = NewType("Step", int)
"""How many events the engine had decided when something was asked of the world."""


def task_id(arn: TaskArn) -> str:
    """The part of a task's ARN after the last slash: 32 hexadecimal digits on Amazon ECS."""
    return arn.rpartition("/")[2]
