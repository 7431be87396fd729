"""The actions on clusters."""

from dataclasses import replace

from agent.controlplane.call import Call
from agent.controlplane.describe import show_cluster
from agent.controlplane.faults import Fault, invalid
from agent.controlplane.names import NAME
from agent.controlplane.pages import page
from agent.controlplane.records import Cluster, JsonObject
from agent.controlplane.tags import read_tags

MOST_DESCRIBED = 100
ALL = ("SETTINGS", "TAGS")


def create_cluster(call: Call) -> JsonObject:
    """Make a cluster; an ACTIVE one of that name is answered unchanged."""
    name = call.request.get("clusterName", "default")
    if not NAME.fullmatch(name):
        raise invalid("clusterName must hold 1 to 255 letters, digits, _ and -")
    cluster = call.world.clusters.get(name)
    if cluster is None or cluster.status == "INACTIVE":
        cluster = make_cluster(call, name)
    return {"cluster": show_cluster(call.world, cluster, ALL)}


def make_cluster(call: Call, name: str) -> Cluster:
    """Put a new cluster into the world. What a deleted one of that name left behind is forgotten: it is empty."""
    if name in call.world.clusters:
        _forget_all(call, name)
    settings = call.request.get("settings", ())
    for setting in settings:
        if setting.get("value") not in ("enabled", "disabled", "enhanced"):
            raise invalid("settings.value of containerInsights must be enabled, enhanced or disabled")
    cluster = Cluster(
        name=name,
        arn=call.arn("cluster", name),
        created_at=call.at,
        settings=tuple(settings) or ({"name": "containerInsights", "value": "disabled"},),
        tags=read_tags(call.request.get("tags", ())),
    )
    call.world.put(cluster)
    return cluster


def _forget_all(call: Call, name: str) -> None:
    world = call.world
    for shelf in (world.tasks, world.instances, world.tokens):
        for record in [record for record in shelf.values() if record.cluster == name]:
            world.remove(record)


def describe_clusters(call: Call) -> JsonObject:
    """Show clusters, deleted ones included; one that is unknown is a failure, not an error."""
    names = call.request.get("clusters") or ["default"]
    if len(names) > MOST_DESCRIBED:
        raise invalid(f"clusters must hold at most {MOST_DESCRIBED} entries")
    shown, failures = [], []
    for name in dict.fromkeys(names):
        cluster = call.world.clusters.get(call.short_name("cluster", name))
        if cluster is not None:
            shown.append(show_cluster(call.world, cluster, call.request.get("include", ())))
        else:
            arn = name if name.startswith("arn:") else call.arn("cluster", name)
            failures.append({"arn": arn, "reason": "MISSING"})
    return {"clusters": shown, "failures": failures}


def list_clusters(call: Call) -> JsonObject:
    """The ARNs of the clusters that are not deleted."""
    found = [cluster.arn for cluster in call.world.clusters.values() if cluster.status != "INACTIVE"]
    shown, token = page("cluster", call.request, found, lambda arn: (arn,))
    return {"clusterArns": shown, "nextToken": token}


def delete_cluster(call: Call) -> JsonObject:
    """Delete an empty cluster; a deleted one is answered again."""
    cluster = call.world.clusters.get(call.cluster_name())
    if cluster is not None and cluster.status == "INACTIVE":
        return {"cluster": show_cluster(call.world, cluster)}
    cluster = call.cluster_named()
    instances = call.world.instances.values()
    if any(i.cluster == cluster.name and i.status in ("ACTIVE", "DRAINING") for i in instances):
        raise Fault(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if any(task.cluster == cluster.name and not task.stopped for task in call.world.tasks.values()):
        raise Fault("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    deleted = replace(cluster, status="INACTIVE")
    call.world.put(deleted)
    return {"cluster": show_cluster(call.world, deleted)}
