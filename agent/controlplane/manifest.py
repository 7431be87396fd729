"""What an agent should have, and what it must stop, in the words of ACS (wire protocol, task manifest)."""

from collections.abc import Iterable
from datetime import datetime

from agent.controlplane import arns
from agent.controlplane.delivery import Manifest
from agent.wire.acs import (
    TaskIdentifier,
    TaskManifestMessage,
    TaskStopVerificationAck,
    TaskStopVerificationMessage,
)


def manifest_message(instance: str, listed: Manifest, at: datetime) -> TaskManifestMessage:
    """The list of tasks for the agent of *instance*."""
    return TaskManifestMessage(
        message_id=f"manifest-{listed.seq}",
        cluster_arn=cluster_arn(instance, listed.cluster),
        container_instance_arn=instance,
        tasks=[
            TaskIdentifier(task.arn, cluster_arn(task.arn, task.cluster), task.desired_status) for task in listed.tasks
        ],
        timeline=listed.seq,
        generated_at=_milliseconds(at),
    )


def stops_message(asked: TaskStopVerificationMessage, over: Iterable[str], at: datetime) -> TaskStopVerificationAck:
    """The answer to an agent that has *asked*: these tasks are *over*."""
    clusters = {task.task_arn: task.task_cluster_arn for task in asked.stop_candidates or ()}
    return TaskStopVerificationAck(
        message_id=asked.message_id,
        stop_tasks=[TaskIdentifier(arn, clusters.get(arn), "STOPPED") for arn in over],
        generated_at=_milliseconds(at),
    )


def cluster_arn(neighbour: str, cluster: str) -> str:
    """The ARN of *cluster*, which lies where the thing lies whose ARN is *neighbour*."""
    home = arns.parse(neighbour)
    assert home is not None
    return arns.make(home.region, home.account, "cluster", cluster)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
