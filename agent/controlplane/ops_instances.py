"""The actions on container instances, the agent's registration among them."""

from dataclasses import dataclass, replace

import msgspec

from agent.controlplane import arns
from agent.controlplane.call import Call
from agent.controlplane.definition_sums import GPU
from agent.controlplane.describe import show_instance
from agent.controlplane.faults import client, cluster_not_found, invalid, unsupported
from agent.controlplane.names import NAME
from agent.controlplane.ops_clusters import make_cluster
from agent.controlplane.pages import page
from agent.controlplane.records import Cluster, ContainerInstance, JsonObject, PlaneTask, Tags
from agent.controlplane.reports import asked_to_stop
from agent.controlplane.tags import read_tags

MOST_DESCRIBED = 100
MOST_UPDATED = 10
MOST_PORTS = 100
DRAINING = "DRAINING"
CHANGEABLE = ("ACTIVE", DRAINING)
"""The states that an operator may change, each into the other."""
OF_SERVICE = "service:"
"""How the group of a service's task begins. Until services have records of their own, nobody replaces such a task."""
DRAINED = "Task stopped because its container instance is DRAINING."
RESOURCES = frozenset(("CPU", "MEMORY", "PORTS", "PORTS_UDP"))
ZONE = "ecs.availability-zone"
FROM_DOCUMENT = {
    "availabilityZone": ZONE,
    "imageId": "ecs.ami-id",
    "instanceType": "ecs.instance-type",
    "architecture": "ecs.cpu-architecture",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a registration says of the host."""

    cpu: int
    memory: int
    reserved_tcp: tuple[str, ...]
    reserved_udp: tuple[str, ...]
    attributes: Tags
    ec2_instance_id: str
    gpus: tuple[str, ...] = ()


def register_container_instance(call: Call) -> JsonObject:
    """Register a host, or refresh the one that the ARN or the clientToken names.

    The same clientToken is the same call. An ARN that this control plane does not know, because its disk was lost, is
    adopted with its cluster.
    """
    given = call.request.get("containerInstanceArn", "")
    cluster = _cluster(call, given)
    offer, tags = read_offer(call), read_tags(call.request.get("tags", ()))
    known = _known(call, given, cluster)
    if known is None:
        instance = ContainerInstance(
            arn=given or call.arn("container-instance", cluster.name, call.draw.digits()),
            cluster=cluster.name,
            registered_at=call.at,
            cpu=offer.cpu,
            memory=offer.memory,
            reserved_tcp=offer.reserved_tcp,
            reserved_udp=offer.reserved_udp,
            attributes=offer.attributes,
            tags=tags,
            ec2_instance_id=offer.ec2_instance_id,
            client_token=call.request.get("clientToken", ""),
            gpus=offer.gpus,
            agent_key=call.key,
        )
    else:
        instance = _refreshed(known, offer, tags, call)
    call.world.put(instance)
    return {"containerInstance": show_instance(call.world, instance, with_tags=True)}


def read_offer(call: Call) -> Offer:
    """Resources and attributes of the request. Raises InvalidParameterException."""
    resources = {resource.get("name", ""): resource for resource in call.request.get("totalResources", ())}
    for name in resources:
        if name not in RESOURCES:
            raise unsupported(f"the resource {name[:50]} in totalResources")
    cpu, memory = (resources.get(name, {}).get("integerValue", 0) for name in ("CPU", "MEMORY"))
    if cpu < 0 or memory < 0:
        raise invalid("totalResources must not hold a negative CPU or MEMORY")
    tcp, udp = (tuple(resources.get(name, {}).get("stringSetValue", ())) for name in ("PORTS", "PORTS_UDP"))
    if len(tcp) > MOST_PORTS or len(udp) > MOST_PORTS:
        raise invalid(f"totalResources must reserve at most {MOST_PORTS} ports of a protocol")
    document = _document(call.request.get("instanceIdentityDocument", ""))
    built_in = {name: document[key] for key, name in FROM_DOCUMENT.items() if document.get(key)}
    built_in.setdefault(ZONE, f"{call.world.region}a")
    told = {attribute["name"]: attribute.get("value", "") for attribute in call.request.get("attributes", ())}
    attributes = tuple((built_in | told).items())
    return Offer(cpu, memory, tcp, udp, attributes, document.get("instanceId", ""), _gpus(call.request))


def _gpus(request: JsonObject) -> tuple[str, ...]:
    devices = request.get("platformDevices", ())
    for device in devices:
        if device["type"] != GPU:
            raise unsupported(f"platformDevices of type {device['type']}")
    return tuple(dict.fromkeys(device["id"] for device in devices))


def _document(text: str) -> dict[str, str]:
    """The members of an instance identity document that are text; a document that cannot be read tells nothing."""
    if not text:
        return {}
    try:
        document = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        raise invalid("instanceIdentityDocument is not a JSON object") from None
    return {name: value for name, value in document.items() if isinstance(value, str)}


def _cluster(call: Call, given: str) -> Cluster:
    """The cluster to register into. ``default`` comes into being with its first instance, a lost one with its own."""
    name = call.cluster_name()
    cluster = call.world.clusters.get(name)
    if cluster is not None:
        return call.cluster_named()
    arn = arns.parse(given)
    if name == "default" or (NAME.fullmatch(name) and arn is not None and arn.path[:-1] == (name,)):
        return make_cluster(replace(call, request={}), name)
    raise cluster_not_found()


def _known(call: Call, given: str, cluster: Cluster) -> ContainerInstance | None:
    if given:
        instance_id = given.rpartition("/")[2]
        if not NAME.fullmatch(instance_id) or given != call.arn("container-instance", cluster.name, instance_id):
            raise client(f"containerInstanceArn is not the ARN of an instance of cluster {cluster.name}")
        known = call.world.instances.get(given)
        if known is not None and known.status == "INACTIVE":
            raise client("The referenced container instance is INACTIVE.")
        return known
    token = call.request.get("clientToken")
    same = (
        i
        for i in call.world.instances.values()
        if i.client_token == token and i.cluster == cluster.name and i.agent_key == call.key
    )
    return next((i for i in same if i.status != "INACTIVE"), None) if token else None


def _refreshed(known: ContainerInstance, offer: Offer, tags: Tags, call: Call) -> ContainerInstance:
    """The same instance with what the agent now says. The operator's own attributes come with the first call only."""
    told = dict(offer.attributes)
    custom = {n: v for n, v in known.attributes if "ecs." not in n and n not in told}
    fresh = replace(
        known,
        cpu=offer.cpu,
        memory=offer.memory,
        reserved_tcp=offer.reserved_tcp,
        reserved_udp=offer.reserved_udp,
        attributes=tuple((custom | told).items()),
        tags=tags or known.tags,
        ec2_instance_id=offer.ec2_instance_id or known.ec2_instance_id,
        gpus=offer.gpus,
    )
    if fresh != known:
        fresh = replace(fresh, version=known.version + 1)
    token = call.request.get("clientToken", "")
    return replace(fresh, client_token=token or known.client_token, agent_key=known.agent_key or call.key)


def describe_container_instances(call: Call) -> JsonObject:
    """Show instances, deregistered ones included; one that is unknown is a failure."""
    cluster = call.cluster_named()
    names = call.request["containerInstances"]
    if not names:
        raise invalid("Container instance cannot be empty.")
    if len(names) > MOST_DESCRIBED:
        raise invalid(f"containerInstances must hold at most {MOST_DESCRIBED} entries")
    if "CONTAINER_INSTANCE_HEALTH" in call.request.get("include", ()):
        raise unsupported("include CONTAINER_INSTANCE_HEALTH")
    with_tags = "TAGS" in call.request.get("include", ())
    shown, failures = [], []
    for arn in dict.fromkeys(call.full_arn("container-instance", name, cluster) for name in names):
        instance = call.world.instances.get(arn)
        if instance is not None and instance.cluster == cluster.name:
            shown.append(show_instance(call.world, instance, with_tags=with_tags))
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
        containers=tuple(replace(container, last_status="STOPPED") for container in task.containers),
        version=task.version + 1,
        tags=(),
    )
