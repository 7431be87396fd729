"""The actions that agents call besides registering: where to listen, and what has become of tasks."""

from agent.controlplane.call import Call
from agent.controlplane.faults import invalid
from agent.controlplane.records import JsonObject
from agent.controlplane.reports import TaskReport, take_report

ACKNOWLEDGED: JsonObject = {"acknowledgment": "ACK"}


def discover_poll_endpoint(call: Call) -> JsonObject:
    """ACS is where this call went, whatever instance and zone it names."""
    return {"endpoint": call.endpoint, "telemetryEndpoint": call.endpoint}


def take_task_state(call: Call) -> JsonObject:
    """SubmitTaskStateChange. Told twice it changes nothing; an unknown task is InvalidParameterException."""
    request = call.request
    report = TaskReport(
        status=request.get("status", ""),
        reason=request.get("reason", ""),
        containers=tuple(request.get("containers", ())),
        pull_started_at=request.get("pullStartedAt"),
        pull_stopped_at=request.get("pullStoppedAt"),
        execution_stopped_at=request.get("executionStoppedAt"),
    )
    return _take(call, report)


def take_container_state(call: Call) -> JsonObject:
    """SubmitContainerStateChange, which older agents send: one container's part of the same report."""
    return _take(call, TaskReport(containers=(call.request,)))


def take_attachment_states(call: Call) -> JsonObject:
    """SubmitAttachmentStateChanges. No attachment is ours yet; old news of one is acknowledged."""
    call.cluster_named()
    return ACKNOWLEDGED


def _take(call: Call, report: TaskReport) -> JsonObject:
    cluster = call.cluster_named()
    if not call.request.get("task"):
        raise invalid("task is required")
    task = call.task_named(call.request["task"], cluster)
    call.world.put(take_report(task, report, call.at))
    return ACKNOWLEDGED
