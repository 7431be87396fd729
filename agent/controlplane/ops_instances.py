"""The actions on container instances, but for their registration."""

from dataclasses import replace

from agent.controlplane.call import Call
from agent.controlplane.describe import show_instance
from agent.controlplane.faults import Fault, invalid
from agent.controlplane.pages import page
from agent.controlplane.records import ContainerInstance, JsonObject, PlaneTask
from agent.controlplane.reports import asked_to_stop
from agent.controlplane.wishes import UNDER_WAY

MOST_DESCRIBED = 100
MOST_UPDATED = 10
DRAINING = "DRAINING"
CHANGEABLE = ("ACTIVE", DRAINING)
"""The states that an operator may change, each into the other."""
OF_SERVICE = "service:"
"""How the group of a service's task begins. Until services have records of their own, nobody replaces such a task."""
DRAINED = "Task stopped because its container instance is DRAINING."


def describe_container_instances(call: Call) -> JsonObject:
    """Show instances, deregistered ones included; one that is unknown is a failure."""
    cluster = call.cluster_named()
    names = call.request["containerInstances"]
    if not names:
        raise invalid("Container instance cannot be empty.")
    if len(names) > MOST_DESCRIBED:
        raise invalid(f"containerInstances must hold at most {MOST_DESCRIBED} entries")
    included = call.request.get("include", ())
    with_tags, with_health = "TAGS" in included, "CONTAINER_INSTANCE_HEALTH" in included
    shown, failures = [], []
    for arn in dict.fromkeys(call.full_arn("container-instance", name, cluster) for name in names):
        instance = call.world.instances.get(arn)
        if instance is not None and instance.cluster == cluster.name:
            shown.append(show_instance(call.world, instance, with_tags=with_tags, with_health=with_health))
        else:
            failures.append({"arn": arn, "reason": "MISSING"})
    return {"containerInstances": shown, "failures": failures}


def list_container_instances(call: Call) -> JsonObject:
    """The ARNs of a cluster's instances; without a status, of all that are not deregistered."""
    cluster = call.cluster_named()
    status = call.request.get("status")
    found = [
        instance.arn
        for instance in call.world.instances.values()
        if instance.cluster == cluster.name and (instance.status == status if status else instance.status != "INACTIVE")
    ]
    shown, token = page("container-instance", call.request, found, lambda arn: (arn,))
    return {"containerInstanceArns": shown, "nextToken": token}


def update_container_instances_state(call: Call) -> JsonObject:
    """Drain instances, or have them back. What cannot change is a failure; to be told so twice is none.

    A DRAINING instance is given no task any more, and those of services are stopped; the others are left alone.
    """
    cluster = call.cluster_named()
    names, status = call.request["containerInstances"], call.request["status"]
    if status not in CHANGEABLE:
        raise invalid("The only valid values of status are ACTIVE and DRAINING.")
    if not names:
        raise invalid("Container instance cannot be empty.")
    if len(names) > MOST_UPDATED:
        raise invalid(f"containerInstances must hold at most {MOST_UPDATED} entries")
    shown, failures = [], []
    for arn in dict.fromkeys(call.full_arn("container-instance", name, cluster) for name in names):
        instance = call.world.instances.get(arn)
        if instance is None or instance.cluster != cluster.name:
            failures.append({"arn": arn, "reason": "MISSING"})
        elif instance.status not in CHANGEABLE:
            failures.append({"arn": arn, "reason": instance.status})
        else:
            shown.append(show_instance(call.world, _with_status(call, instance, status), with_tags=True))
    return {"containerInstances": shown, "failures": failures}


def _with_status(call: Call, instance: ContainerInstance, status: str) -> ContainerInstance:
    if instance.status == status:
        return instance
    changed = replace(instance, status=status, version=instance.version + 1)
    call.world.put(changed)
    if status == DRAINING:
        for task in call.world.tasks_on(instance.arn):
            if task.group.startswith(OF_SERVICE) and task.desired_status != "STOPPED":
                seq = call.world.next_seq(call.at)
                call.world.put(asked_to_stop(task, seq, "ServiceSchedulerInitiated", DRAINED, call.at))
    return changed


def update_container_agent(call: Call) -> JsonObject:
    """There is never a newer version of an agent here: this control plane has none to give."""
    cluster = call.cluster_named()
    instance = call.instance_named(call.request["containerInstance"], cluster)
    if instance.update is not None and instance.update.status in UNDER_WAY:
        raise Fault("UpdateInProgressException", "There is already a current Amazon ECS agent update in progress.")
    if not instance.agent_version:
        raise Fault("MissingVersionException", "The version of the agent on this container instance is not known.")
    raise Fault("NoUpdateAvailableException", "There is no update available for this Amazon ECS container agent.")


def deregister_container_instance(call: Call) -> JsonObject:
    """Let an instance go. By force its tasks are let go as well: their containers run on, ECS follows them no more."""
    cluster = call.cluster_named()
    instance = call.instance_named(call.request["containerInstance"], cluster)
    if instance.status == "INACTIVE":
        return {"containerInstance": show_instance(call.world, instance, with_tags=True)}
    held = call.world.tasks_on(instance.arn)
    if held and not call.request.get("force"):
        raise invalid("Found running tasks on the instance.")
    for task in held:
        call.world.put(_let_go(call, task))
    gone = replace(instance, status="INACTIVE", version=instance.version + 1)
    call.world.put(gone)
    return {"containerInstance": show_instance(call.world, gone, with_tags=True)}


def _let_go(call: Call, task: PlaneTask) -> PlaneTask:
    return replace(
        task,
        last_status="STOPPED",
        desired_status="STOPPED",
        stopped_at=call.at,
        stopping_at=task.stopping_at or call.at,
        stop_code=task.stop_code or "UserInitiated",
        stopped_reason=task.stopped_reason or "Container instance deregistered by force.",
        containers=tuple(container.ended() for container in task.containers),
        version=task.version + 1,
        tags=(),
    )
