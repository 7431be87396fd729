"""Records as the API shows them. Absent members are None here and left out by answers.py."""

from collections.abc import Iterable

from agent.controlplane import arns
from agent.controlplane.definition_sums import GPU
from agent.controlplane.health import overall, task_health
from agent.controlplane.notices import VOLUME
from agent.controlplane.records import (
    UNKNOWN,
    Cluster,
    ContainerInstance,
    JsonObject,
    PlaneTask,
    TaskContainer,
    TaskDefinition,
)
from agent.controlplane.scheduler import Remaining, remaining
from agent.controlplane.tags import show_tags
from agent.controlplane.world import World


def show_cluster(world: World, cluster: Cluster, include: Iterable[str] = ()) -> JsonObject:
    """A Cluster with its counters."""
    wanted = frozenset(include)
    instances = [
        i for i in world.instances.values() if i.cluster == cluster.name and i.status in ("ACTIVE", "DRAINING")
    ]
    tasks = [task for task in world.tasks.values() if task.cluster == cluster.name]
    if cluster.status == "INACTIVE":
        instances, tasks = [], []
    return {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": len(instances),
        "runningTasksCount": sum(task.last_status == "RUNNING" for task in tasks),
        "pendingTasksCount": sum(task.last_status == "PENDING" for task in tasks),
        "activeServicesCount": 0,
        "statistics": _statistics(tasks) if "STATISTICS" in wanted else [],
        "settings": list(cluster.settings) if "SETTINGS" in wanted else [],
        "tags": show_tags(cluster.tags) if "TAGS" in wanted else [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    }


def _statistics(tasks: list[PlaneTask]) -> list[JsonObject]:
    names = {"EC2": "EC2", "FARGATE": "Fargate", "EXTERNAL": "External"}
    counts = {
        f"{word}{shown}TasksCount": sum(t.launch_type == kind and t.last_status == state for t in tasks)
        for kind, shown in names.items()
        for word, state in (("running", "RUNNING"), ("pending", "PENDING"))
    }
    services = {f"{word}{shown}ServiceCount": 0 for shown in names.values() for word in ("active", "draining")}
    return [{"name": name, "value": str(count)} for name, count in (counts | services).items()]


def show_definition(definition: TaskDefinition) -> JsonObject:
    """A TaskDefinition; its tags stand beside it, not inside."""
    return {
        "taskDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": definition.status,
        "requiresAttributes": [{"name": name} for name in definition.requires_attributes],
        "compatibilities": list(definition.compatibilities),
        "registeredAt": definition.registered_at,
        "registeredBy": definition.registered_by,
        "deregisteredAt": definition.deregistered_at,
        **definition.body,
    }


def show_instance(
    world: World, instance: ContainerInstance, *, with_tags: bool, with_health: bool = False
) -> JsonObject:
    """A ContainerInstance with what is left of it."""
    tasks = world.tasks_on(instance.arn)
    left = remaining(instance, tasks)
    versions = {
        "agentVersion": instance.agent_version or None,
        "agentHash": instance.agent_hash or None,
        "dockerVersion": instance.docker_version or None,
    }
    return {
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.ec2_instance_id or None,
        "version": instance.version,
        "versionInfo": {name: value for name, value in versions.items() if value},
        "registeredResources": _resources(
            Remaining(instance.cpu, instance.memory, instance.reserved_tcp, instance.reserved_udp, instance.gpus),
            has_gpus=bool(instance.gpus),
        ),
        "remainingResources": _resources(left, has_gpus=bool(instance.gpus)),
        "status": instance.status,
        "agentConnected": bool(instance.connection),
        "runningTasksCount": sum(task.desired_status == "RUNNING" and task.last_status != "PENDING" for task in tasks),
        "pendingTasksCount": sum(task.last_status == "PENDING" for task in tasks),
        "attributes": [{"name": name, "value": value or None} for name, value in instance.attributes],
        "registeredAt": instance.registered_at,
        "agentUpdateStatus": instance.update.status if instance.update else None,
        "attachments": _attachments(world, instance=instance.arn),
        "tags": show_tags(instance.tags) if with_tags else [],
        "healthStatus": _show_checks(instance) if with_health else None,
    }


def _show_checks(instance: ContainerInstance) -> JsonObject:
    details = [
        {
            "type": check.type,
            "status": check.status,
            "lastUpdated": check.last_updated,
            "lastStatusChange": check.last_status_change,
        }
        for check in instance.checks
    ]
    return {"overallStatus": overall(instance.checks), "details": details}


def _attachments(world: World, *, instance: str, task: str = "") -> list[JsonObject]:
    """What is attached, or on its way: to a task, or to the instance itself."""
    return [
        {
            "id": one.attachment_id,
            "type": "AmazonElasticBlockStorage" if one.kind == VOLUME else "ElasticNetworkInterface",
            "status": one.status,
            "details": [{"name": n, "value": v} for n, v in one.details.items() if isinstance(v, str)],
        }
        for one in world.attachments.values()
        if one.instance == instance and one.task == task
    ]


def _resources(of: Remaining, *, has_gpus: bool) -> list[JsonObject]:
    numbers = [{"name": "CPU", "type": "INTEGER", "integerValue": of.cpu}]
    numbers.append({"name": "MEMORY", "type": "INTEGER", "integerValue": of.memory})
    sets = [("PORTS", of.tcp), ("PORTS_UDP", of.udp), *([(GPU, of.gpus)] if has_gpus else [])]
    absent = {"doubleValue": 0.0, "longValue": 0}
    return [
        *({**absent, **number} for number in numbers),
        *({**absent, "integerValue": 0, "name": n, "type": "STRINGSET", "stringSetValue": list(p)} for n, p in sets),
    ]


def show_task(world: World, task: PlaneTask, *, with_tags: bool) -> JsonObject:
    """A Task."""
    return {
        "taskArn": task.arn,
        "clusterArn": arns.make(world.region, world.account, "cluster", task.cluster),
        "containerInstanceArn": task.instance,
        "taskDefinitionArn": task.definition,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "connectivity": task.connectivity,
        "connectivityAt": task.connectivity_at,
        "createdAt": task.created_at,
        "pullStartedAt": task.pull_started_at,
        "pullStoppedAt": task.pull_stopped_at,
        "startedAt": task.started_at,
        "stoppingAt": task.stopping_at,
        "executionStoppedAt": task.execution_stopped_at,
        "stoppedAt": task.stopped_at,
        "stopCode": task.stop_code or None,
        "stoppedReason": task.stopped_reason or None,
        "startedBy": task.started_by or None,
        "group": task.group,
        "launchType": task.launch_type,
        "cpu": task.cpu,
        "memory": task.memory,
        "availabilityZone": task.availability_zone or None,
        "healthStatus": task_health(task),
        "enableExecuteCommand": False,
        "overrides": task.overrides,
        "attachments": _attachments(world, instance=task.instance, task=task.arn),
        "attributes": [{"name": name, "value": value or None} for name, value in task.attributes],
        "containers": [_show_container(task, container) for container in task.containers],
        "tags": show_tags(task.tags) if with_tags else [],
        "version": task.version,
    }


def _show_container(task: PlaneTask, container: TaskContainer) -> JsonObject:
    return {
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.image,
        "imageDigest": container.image_digest or None,
        "runtimeId": container.runtime_id or None,
        "lastStatus": container.last_status,
        "exitCode": container.exit_code,
        "reason": container.reason or None,
        "networkBindings": list(container.network_bindings),
        "networkInterfaces": [],
        "healthStatus": container.health or UNKNOWN,
        "gpuIds": list(container.gpu_ids) or None,
        "cpu": str(container.cpu),
        "memory": None if container.memory is None else str(container.memory),
        "memoryReservation": None if container.memory_reservation is None else str(container.memory_reservation),
    }
