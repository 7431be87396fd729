"""RegisterContainerInstance: a host joins a cluster, or comes back to it."""

from dataclasses import dataclass, replace

import msgspec

from agent.controlplane import arns
from agent.controlplane.attributes import is_custom, read_attributes
from agent.controlplane.call import Call
from agent.controlplane.definition_sums import GPU
from agent.controlplane.describe import show_instance
from agent.controlplane.faults import client, cluster_not_found, invalid, unsupported
from agent.controlplane.names import NAME
from agent.controlplane.ops_clusters import make_cluster
from agent.controlplane.records import Cluster, ContainerInstance, JsonObject, Tags
from agent.controlplane.tags import read_tags

MOST_PORTS = 100
RESOURCES = frozenset(("CPU", "MEMORY", "PORTS", "PORTS_UDP"))
ZONE, TYPE = "ecs.availability-zone", "ecs.instance-type"
FROM_DOCUMENT = {
    "availabilityZone": ZONE,
    "imageId": "ecs.ami-id",
    "instanceType": TYPE,
    "architecture": "ecs.cpu-architecture",
}
DERIVED = frozenset(FROM_DOCUMENT.values())


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
            attributes=tuple(({ZONE: f"{call.world.region}a"} | dict(offer.attributes)).items()),
            tags=tags,
            ec2_instance_id=offer.ec2_instance_id,
            client_token=call.request.get("clientToken", ""),
            gpus=offer.gpus,
            agent_key=call.key,
        )
    else:
        instance = _refreshed(known, offer, tags, call)
    instance = _with_versions(instance, call.request.get("versionInfo", {}))
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
    attributes = tuple((built_in | read_attributes(call.request.get("attributes", ()))).items())
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
    except (msgspec.DecodeError, RecursionError):
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
    """The same instance with what the agent now says.

    The operator's own attributes come with the first call only, and what was read from the host's identity document
    stays known where a later call has none.
    """
    told, before = dict(offer.attributes), dict(known.attributes)
    _check_type(before.get(TYPE, ""), told.get(TYPE, ""), known)
    kept = {n: v for n, v in known.attributes if (is_custom(n) or n in DERIVED) and n not in told}
    fresh = replace(
        known,
        cpu=offer.cpu,
        memory=offer.memory,
        reserved_tcp=offer.reserved_tcp,
        reserved_udp=offer.reserved_udp,
        attributes=tuple((kept | told).items()),
        tags=tags or known.tags,
        ec2_instance_id=offer.ec2_instance_id or known.ec2_instance_id,
        gpus=offer.gpus,
    )
    if fresh != known:
        fresh = replace(fresh, version=known.version + 1)
    token = call.request.get("clientToken", "")
    return replace(fresh, client_token=token or known.client_token, agent_key=known.agent_key or call.key)


def _check_type(before: str, now: str, known: ContainerInstance) -> None:
    if before and now and before != now:
        raise client(
            f"Container instance type changes are not supported. Container instance {known.arn.rpartition('/')[2]} was"
            f" previously registered as {before}."
        )


def _with_versions(instance: ContainerInstance, given: JsonObject) -> ContainerInstance:
    """*instance* with what a registration says of the agent and of Docker; the session says it again."""
    return replace(
        instance,
        agent_version=given.get("agentVersion") or instance.agent_version,
        agent_hash=given.get("agentHash") or instance.agent_hash,
        docker_version=given.get("dockerVersion") or instance.docker_version,
    )
