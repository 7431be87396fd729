"""What the key pair of an agent may do: the actions of agents, on the container instances that it registered itself.

Two agents that share a key pair can speak for each other, so each should have its own (`controlplane agent-key`).
Keys of a task's role may do less by far: ask for the protection of that task.
"""

from collections.abc import Iterator

from agent.controlplane.call import Call
from agent.controlplane.faults import Fault
from agent.controlplane.honoured import words
from agent.controlplane.records import ContainerInstance
from agent.controlplane.role_keys import Claims

OPERATOR = "operator"
"""Stands for the operator's key pair where an agent's would be named by its id."""

ROLE = "role:"
"""How the name of a caller begins that signed with keys of a role; the ARN of the task follows that it speaks for."""

FOR_AGENTS = words(
    "CreateCluster DeregisterContainerInstance DiscoverPollEndpoint ListTagsForResource"
    " RegisterContainerInstance SubmitAttachmentStateChanges SubmitContainerStateChange SubmitTaskStateChange"
    " UpdateContainerInstancesState"
)
"""What an agent's key pair may call."""

FOR_TASKS = words("GetTaskProtection UpdateTaskProtection")
"""What a task may call, with the keys of its role, about itself."""

THE_DEFAULT = "default"
"""The one cluster that an agent may make: where it has been told of none, it registers there."""


def is_limited(key: str) -> bool:
    """Is *key* that of an agent? An empty one stands for everybody, where nobody signs."""
    return key not in ("", OPERATOR)


def is_role(key: str) -> bool:
    """Is *key* that of a role?"""
    return key.startswith(ROLE)


def role_caller(claims: Claims) -> str:
    """Stands for the keys of a role. Those of an execution role speak for no task."""
    return ROLE + (claims.task if claims.is_of_the_task else "")


def denied(action: str, where: str = "", key: str = "") -> Fault:
    """The error for an agent or a task that wants too much."""
    place = f" on resource: {where[:300]}" if where else ""
    who = "The role of the task" if is_role(key) else "The agent's key pair"
    return Fault("AccessDeniedException", f"{who} is not authorized to perform: ecs:{action}{place}")


def owns(instance: ContainerInstance, key: str) -> bool:
    """May *key* speak for *instance*? One of before keys were noted belongs to the first agent that comes."""
    return not is_limited(key) or (not is_role(key) and instance.agent_key in ("", key))


def check_action(action: str, key: str) -> None:
    """Raise Fault where *key* may not call *action* at all."""
    allowed = FOR_TASKS if is_role(key) else FOR_AGENTS
    if is_limited(key) and (action not in allowed or key == ROLE):
        raise denied(action, key=key)


def check_resources(call: Call, action: str) -> None:
    """Raise Fault where the caller is an agent and the call is about something that is not its own.

    What is unknown here belongs to nobody: the action itself says so.
    """
    if not is_limited(call.key):
        return
    check_action(action, call.key)
    if is_role(call.key):
        _check_own_task(call, action)
    if action == "CreateCluster" and call.request.get("clusterName", THE_DEFAULT) != THE_DEFAULT:
        raise denied(action, call.request["clusterName"])
    if action == "ListTagsForResource":
        _check_shelf(call, action)
    for named, arn in _instances(call):
        instance = call.world.instances.get(arn)
        if instance is not None and not is_role(call.key) and not owns(instance, call.key):
            raise denied(action, named)


def _check_own_task(call: Call, action: str) -> None:
    """A task speaks for itself, also about whether there is another."""
    for name in call.request.get("tasks", ()):
        if _whole(call, "task", name) != call.key.removeprefix(ROLE):
            raise denied(action, name, call.key)


def _check_shelf(call: Call, action: str) -> None:
    """An agent has business with the tags of instances and tasks alone."""
    arn = call.request["resourceArn"]
    if any(record.arn == arn for shelf in (call.world.clusters, call.world.definitions) for record in shelf.values()):
        raise denied(action, arn)


def _instances(call: Call) -> Iterator[tuple[str, str]]:
    """What the request names, and the instance that each belongs to."""
    request = call.request
    given = [request[name] for name in ("containerInstanceArn", "containerInstance") if request.get(name)]
    for name in (*given, *request.get("containerInstances", ())):
        yield name, _whole(call, "container-instance", name)
    for told in request.get("attachments", ()):
        attachment = call.world.attachments.get(told["attachmentArn"])
        yield told["attachmentArn"], attachment.instance if attachment is not None else ""
    tasks = [request[name] for name in ("task", "resourceArn") if request.get(name)]
    for name in (*tasks, *request.get("tasks", ())):
        task = call.world.tasks.get(_whole(call, "task", name))
        yield name, task.instance if task is not None else name


def _whole(call: Call, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else call.arn(kind, call.cluster_name(), name)
