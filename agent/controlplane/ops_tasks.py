"""The actions on tasks."""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from agent.controlplane.call import Call
from agent.controlplane.definition_sums import gpus_of
from agent.controlplane.describe import show_task
from agent.controlplane.faults import Fault, invalid, unsupported
from agent.controlplane.honoured import refuse_the_rest
from agent.controlplane.launch import Launch, launch_of, read_overrides
from agent.controlplane.pages import page
from agent.controlplane.records import (
    UNKNOWN,
    Cluster,
    ContainerInstance,
    JsonObject,
    PlaneTask,
    RunToken,
    TaskContainer,
    TaskDefinition,
)
from agent.controlplane.reports import asked_to_stop
from agent.controlplane.requirements import requires_attributes
from agent.controlplane.scheduler import Candidate, Misfit, Need, place
from agent.controlplane.tags import read_tags

MOST_DESCRIBED = 100
MOST_STARTED = 10
LONGEST_REFERENCE = 1024
TOKEN = re.compile(r"[\x21-\x7e]{1,64}")
STARTED_BY = re.compile(r"[A-Za-z0-9_/-]{0,128}")
ALONE_WITH_STARTED_BY = ("family", "containerInstance", "serviceName", "launchType")
ARCHITECTURES = {"X86_64": "x86_64", "ARM64": "arm64"}


def run_task(call: Call) -> JsonObject:
    """Choose where tasks go and promise them: none of them runs yet. What finds no place is a failure, not an error."""
    request = call.request
    _check_run(request)
    cluster = call.cluster_named()
    token = request.get("clientToken")
    if token is not None:
        before = call.world.tokens.get(f"{cluster.name}/{token}")
        if before is not None:
            return _same_again(call, before)
    definition = call.definition_named(request["taskDefinition"], "TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise invalid("TaskDefinition is inactive")
    overrides = read_overrides(request.get("overrides", {}), definition.body)
    launch = launch_of(definition.body, overrides)
    instances = _instances(call, cluster)
    candidates = {i.arn: Candidate.of(i, call.world.tasks_on(i.arn)) for i in instances}
    need = _need(request, definition, launch)
    tasks: list[PlaneTask] = []
    failures: list[JsonObject] = []
    for _ in range(request.get("count", 1)):
        found = place(tuple(candidates.values()), need)
        if isinstance(found, Misfit):
            failures.append({"arn": found.instance, "reason": found.reason})
            continue
        gpus = candidates[found.arn].left.gpus[: launch.gpus]
        task = _new_task(call, found, definition, launch, overrides, gpus)
        call.world.put(task)
        candidates[found.arn] = candidates[found.arn].holding(task)
        tasks.append(task)
    if token is not None:
        arns = tuple(task.arn for task in tasks)
        call.world.put(RunToken(cluster.name, token, _fingerprint(request), arns, tuple(failures), call.at))
    return {"tasks": [show_task(call.world, task, with_tags=True) for task in tasks], "failures": failures}


def _check_run(request: JsonObject) -> None:
    if not 1 <= request.get("count", 1) <= MOST_STARTED:
        raise invalid(f"count must be between 1 and {MOST_STARTED}")
    if request.get("launchType", "EC2") not in ("EC2", "EXTERNAL"):
        raise invalid(f"Task definition does not support launch_type {request['launchType']}.")
    if not STARTED_BY.fullmatch(request.get("startedBy", "")):
        raise invalid("startedBy must hold at most 128 letters, digits, _, / and -")
    if request.get("clientToken") is not None and not TOKEN.fullmatch(request["clientToken"]):
        raise invalid("clientToken must hold 1 to 64 printable ASCII characters")
    if len(request.get("referenceId", "")) > LONGEST_REFERENCE:
        raise invalid(f"referenceId must be at most {LONGEST_REFERENCE} characters")
    if request.get("propagateTags") == "SERVICE":
        raise invalid("propagateTags SERVICE cannot be used with RunTask")
    for constraint in request.get("placementConstraints", ()):
        if constraint.get("type") == "memberOf":
            raise unsupported("placementConstraints of type memberOf in RunTask")
        refuse_the_rest(constraint, frozenset(("type",)), "of a distinctInstance constraint")


def _instances(call: Call, cluster: Cluster) -> list[ContainerInstance]:
    external = call.request.get("launchType", "EC2") == "EXTERNAL"
    found = [
        instance
        for instance in call.world.instances.values()
        if instance.cluster == cluster.name and instance.status == "ACTIVE" and instance.external == external
    ]
    if not found:
        raise invalid("No Container Instances were found in your cluster.")
    return found


def _need(request: JsonObject, definition: TaskDefinition, launch: Launch) -> Need:
    alone = any(constraint.get("type") == "distinctInstance" for constraint in request.get("placementConstraints", ()))
    return Need(
        charge=launch.charge,
        gpus=launch.gpus,
        attributes=(*definition.requires_attributes, *_required_by(launch, definition)),
        architecture=ARCHITECTURES.get(definition.body.get("runtimePlatform", {}).get("cpuArchitecture", ""), ""),
        alone=_group(request, definition) if alone else "",
    )


def _required_by(launch: Launch, definition: TaskDefinition) -> tuple[str, ...]:
    """What the overrides need besides: what a definition that said the same would."""
    amounts = {member: "1" for member, amount in (("cpu", launch.cpu), ("memory", launch.memory)) if amount}
    return requires_attributes({**definition.body, **amounts, "containerDefinitions": launch.containers})


def _group(request: JsonObject, definition: TaskDefinition) -> str:
    return request.get("group") or f"family:{definition.family}"


def _new_task(
    call: Call,
    instance: ContainerInstance,
    definition: TaskDefinition,
    launch: Launch,
    overrides: JsonObject,
    gpus: tuple[str, ...],
) -> PlaneTask:
    request, task_id = call.request, call.draw.digits()
    shares = share_out(gpus, [gpus_of(container) for container in launch.containers])
    attributes = dict(instance.attributes)
    architecture = attributes.get("ecs.cpu-architecture")
    return PlaneTask(
        arn=call.arn("task", instance.cluster, task_id),
        cluster=instance.cluster,
        instance=instance.arn,
        definition=definition.arn,
        charge=replace(launch.charge, gpus=gpus),
        containers=tuple(
            _new_container(call, instance.cluster, task_id, container, share)
            for container, share in zip(launch.containers, shares, strict=True)
        ),
        created_at=call.at,
        group=_group(request, definition),
        launch_type=request.get("launchType", "EC2"),
        run_seq=call.world.next_seq(call.at),
        overrides=overrides,
        cpu=str(launch.charge.cpu),
        memory=str(launch.charge.memory),
        started_by=request.get("startedBy", ""),
        reference_id=request.get("referenceId", ""),
        connectivity_at=call.at,
        tags=_tags(call, instance.cluster, definition),
        attributes=(("ecs.cpu-architecture", architecture),) if architecture else (),
        availability_zone=attributes.get("ecs.availability-zone", ""),
        task_role=launch.task_role,
        execution_role=launch.execution_role,
        task_credentials_id=call.draw.uuid() if launch.task_role else "",
        execution_credentials_id=call.draw.uuid() if launch.execution_role else "",
    )


def share_out(gpus: Sequence[str], counts: Iterable[int]) -> list[tuple[str, ...]]:
    """*gpus* in their order, so many for each."""
    left = iter(gpus)
    return [tuple(itertools.islice(left, count)) for count in counts]


def _new_container(
    call: Call, cluster: str, task_id: str, container: JsonObject, gpus: tuple[str, ...]
) -> TaskContainer:
    return TaskContainer(
        name=container["name"],
        arn=call.arn("container", cluster, task_id, call.draw.uuid()),
        image=container["image"],
        essential=container["essential"],
        cpu=container["cpu"],
        memory=container.get("memory"),
        memory_reservation=container.get("memoryReservation"),
        gpu_ids=gpus,
        health=UNKNOWN if container.get("healthCheck") else "",
    )


def _tags(call: Call, cluster: str, definition: TaskDefinition) -> tuple[tuple[str, str], ...]:
    """The call's own tags over the definition's (if propagated) over the managed ones."""
    tags = {"aws:ecs:clusterName": cluster} if call.request.get("enableECSManagedTags") else {}
    if call.request.get("propagateTags") == "TASK_DEFINITION":
        tags |= dict(definition.tags)
    return tuple((tags | dict(read_tags(call.request.get("tags", ())))).items())


def _fingerprint(request: JsonObject) -> str:
    """What makes two requests under one clientToken the same."""
    plain = {member: value for member, value in request.items() if member != "clientToken"}
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def _same_again(call: Call, before: RunToken) -> JsonObject:
    if before.fingerprint != _fingerprint(call.request):
        raise Fault(
            "ConflictException",
            "The clientToken was used before with other parameters.",
            more={"resourceIds": list(before.tasks)},
        )
    tasks = [call.world.tasks[arn] for arn in before.tasks if arn in call.world.tasks]
    short = ("taskArn", "lastStatus", "desiredStatus")
    shown = [(task, show_task(call.world, task, with_tags=True)) for task in tasks]
    return {
        "tasks": [{m: whole[m] for m in short} if task.stopped else whole for task, whole in shown],
        "failures": list(before.failures),
    }


def describe_tasks(call: Call) -> JsonObject:
    """Show tasks; one that is unknown is a failure."""
    cluster = call.cluster_named()
    names = call.request["tasks"]
    if not names:
        raise invalid("Tasks cannot be empty.")
    if len(names) > MOST_DESCRIBED:
        raise invalid(f"tasks must hold at most {MOST_DESCRIBED} entries")
    with_tags = "TAGS" in call.request.get("include", ())
    shown, failures = [], []
    for arn in dict.fromkeys(call.full_arn("task", name, cluster) for name in names):
        task = call.world.tasks.get(arn)
        if task is not None and task.cluster == cluster.name:
            shown.append(show_task(call.world, task, with_tags=with_tags))
        else:
            failures.append({"arn": arn, "reason": "MISSING"})
    return {"tasks": shown, "failures": failures}


def list_tasks(call: Call) -> JsonObject:
    """The ARNs of a cluster's tasks by *desired* status: one that is being stopped is already under STOPPED."""
    request = call.request
    cluster = call.cluster_named()
    if request.get("serviceName"):
        raise Fault("ServiceNotFoundException", "Service not found.")
    others = Counter(member for member in ALONE_WITH_STARTED_BY if request.get(member))
    if request.get("startedBy") and others:
        raise invalid(f"startedBy must be the only filter: it cannot be combined with {', '.join(others)}")
    instance = request.get("containerInstance")
    wanted = {
        "desired_status": request.get("desiredStatus", "RUNNING"),
        "instance": call.instance_named(instance, cluster).arn if instance else None,
        "launch_type": request.get("launchType"),
        "started_by": request.get("startedBy"),
    }
    family = request.get("family")
    found = [
        task.arn
        for task in call.world.tasks.values()
        if task.cluster == cluster.name
        and all(value is None or getattr(task, member) == value for member, value in wanted.items())
        and (family is None or task.definition.rpartition("/")[2].rpartition(":")[0] == family)
    ]
    shown, token = page("task", request, found, lambda arn: (arn,))
    return {"taskArns": shown, "nextToken": token}


def stop_task(call: Call) -> JsonObject:
    """Wish a task stopped; a task that is already wished so, or is stopped, is answered unchanged."""
    cluster = call.cluster_named()
    task = call.task_named(call.request["task"], cluster)
    if task.desired_status != "STOPPED":
        reason = call.request.get("reason") or "Task stopped by user"
        task = asked_to_stop(task, call.world.next_seq(call.at), "UserInitiated", reason, call.at)
        call.world.put(task)
    return {"task": show_task(call.world, task, with_tags=True)}
