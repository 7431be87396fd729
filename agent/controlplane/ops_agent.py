"""The actions that agents call besides registering: where to listen, and what has become of tasks."""

from agent.controlplane.call import Call
from agent.controlplane.faults import invalid
from agent.controlplane.notices import attached
from agent.controlplane.records import JsonObject
from agent.controlplane.reports import TaskReport, take_report

ACKNOWLEDGED: JsonObject = {"acknowledgment": "ACK"}
TELEMETRY = "telemetry/"
"""What follows the endpoint where agents bring their telemetry."""


def discover_poll_endpoint(call: Call) -> JsonObject:
    """ACS and TCS are where this call went, whatever instance, cluster and zone it names."""
    return {"endpoint": call.endpoint, "telemetryEndpoint": f"{call.endpoint}{TELEMETRY}"}


def take_task_state(call: Call) -> JsonObject:
    """SubmitTaskStateChange. Told twice it changes nothing; an unknown task is InvalidParameterException.

    An agent tells in the same way, with no status, that a network interface of the task has appeared.
    """
    request = call.request
    report = TaskReport(
        status=request.get("status", ""),
        reason=request.get("reason", ""),
        containers=tuple(request.get("containers", ())),
        pull_started_at=request.get("pullStartedAt"),
        pull_stopped_at=request.get("pullStoppedAt"),
        execution_stopped_at=request.get("executionStoppedAt"),
    )
    answer = _take(call, report)
    _take_attachments(call)
    return answer


def take_container_state(call: Call) -> JsonObject:
    """SubmitContainerStateChange, which older agents send: one container's part of the same report."""
    return _take(call, TaskReport(containers=(call.request,)))


def take_attachment_states(call: Call) -> JsonObject:
    """SubmitAttachmentStateChanges. Old news, and news of what is unknown, is acknowledged and changes nothing."""
    call.cluster_named()
    _take_attachments(call)
    return ACKNOWLEDGED


def _take_attachments(call: Call) -> None:
    for told in call.request.get("attachments", ()):
        attached(call.world, told["attachmentArn"], told["status"])


def _take(call: Call, report: TaskReport) -> JsonObject:
    cluster = call.cluster_named()
    if not call.request.get("task"):
        raise invalid("task is required")
    task = call.task_named(call.request["task"], cluster)
    call.world.put(take_report(task, report, call.at))
    return ACKNOWLEDGED
