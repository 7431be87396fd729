"""The telemetry an agent sends (wire protocol, TCS): its frames in the control plane's own words, and our answers.

An agent repeats nothing that was not acknowledged, so a frame is taken as far as it makes sense: what is missing says
nothing, and what is wrong makes the whole frame wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agent.controlplane.faults import SERVER_ERROR, Fault
from agent.controlplane.health import HEALTH, WORST_FIRST
from agent.controlplane.records import InstanceCheck
from agent.model.errors import BadInput
from agent.wire.tcs import (
    ACKNOWLEDGEMENTS,
    BadRequestException,
    HeartbeatMessage,
    InstanceStatus,
    InvalidParameterException,
    Publish,
    PublishHealthRequest,
    PublishInstanceStatusRequest,
    PublishMetricsRequest,
    ResourceValidationException,
    Said,
    ServerException,
    TaskHealth,
    decode,
    encode,
    moment,
)
from agent.wire.tcs_metrics import ContainerMetric, Number, TaskMetric

HEARTBEAT = encode(HeartbeatMessage(healthy=True)).decode()
"""Keeps an agent that has nothing to tell. Unlike that of ACS it has no number, and nobody answers it."""
CHECKS = {
    "ContainerRuntime": "CONTAINER_RUNTIME",
    "ACCELERATED_COMPUTE": "ACCELERATED_COMPUTE",
    "EBSDaemon": "DAEMON",
    "Agent": "AGENT_CONNECTIVITY",
}
"""The checks that agents have, and what the API calls them."""
ERRORS: dict[str, type[Said]] = {
    shape.__name__: shape for shape in (BadRequestException, InvalidParameterException, ResourceValidationException)
}


@dataclass(frozen=True, slots=True)
class FiguresTold:
    """The figures of containers, by task and name."""

    tasks: Mapping[str, Mapping[str, ContainerMetric]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class HealthTold:
    """What the health checks of containers say, by task and name."""

    tasks: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ChecksTold:
    """What the checks of a host came to."""

    checks: tuple[InstanceCheck, ...]


Told = FiguresTold | HealthTold | ChecksTold


def read_frame(document: bytes, instance: str, at: datetime) -> tuple[Told, str]:
    """What a frame tells on the session of *instance*, and its acknowledgement.

    Raises BadInput where it makes no sense, Fault where it tells of another instance.
    """
    frame = decode(document)
    if not isinstance(frame, Publish):
        raise BadInput("type", f"must be one of {', '.join(shape.__name__ for shape in ACKNOWLEDGEMENTS)}")
    if frame.metadata is not None and frame.metadata.container_instance not in (None, instance):
        raise Fault(
            ResourceValidationException.__name__, "metadata.containerInstance is not the instance of this session."
        )
    return _told(frame, at), encode(ACKNOWLEDGEMENTS[type(frame)]("ok")).decode()


def _told(frame: Publish, at: datetime) -> Told:
    match frame:
        case PublishMetricsRequest():
            return FiguresTold({metric.task_arn or "": _figures(metric) for metric in frame.task_metrics or ()})
        case PublishHealthRequest():
            return HealthTold({task.task_arn or "": _health(task) for task in frame.tasks or ()})
        case PublishInstanceStatusRequest():
            known = (status for status in frame.statuses or () if status.type in CHECKS)
            return ChecksTold(tuple(_check(status, at) for status in known))


def _figures(metric: TaskMetric) -> dict[str, ContainerMetric]:
    return {one.container_name: one for one in metric.container_metrics or () if one.container_name}


def _health(task: TaskHealth) -> dict[str, str]:
    told = {}
    for container in task.containers or ():
        if container.health_status not in HEALTH:
            raise BadInput("healthStatus", f"must be one of {', '.join(HEALTH)}")
        told[container.container_name or ""] = container.health_status
    return told


def _check(told: InstanceStatus, at: datetime) -> InstanceCheck:
    if told.status not in WORST_FIRST:
        raise BadInput("status", f"must be one of {', '.join(WORST_FIRST)}")
    return InstanceCheck(
        type=CHECKS[told.type or ""],
        status=told.status,
        last_updated=_moment(told.last_updated, at),
        last_status_change=_moment(told.last_status_change, at),
    )


def _moment(told: Number | None, at: datetime) -> datetime:
    return at if told is None else moment(told)


def error_frame(fault: Fault) -> str:
    """What tells an agent that its frame was not taken; it logs that, and does no more."""
    shape = ServerException if fault.status == SERVER_ERROR else ERRORS.get(fault.code, BadRequestException)
    return encode(shape(str(fault))).decode()
