"""One API call as an operation sees it, and the ways in which a call names things."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from agent.controlplane import arns
from agent.controlplane.draw import Draw
from agent.controlplane.faults import client, cluster_not_found, invalid
from agent.controlplane.records import Cluster, ContainerInstance, JsonObject, PlaneTask, TaskDefinition
from agent.controlplane.world import World


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request, the world it meets, the time, and chance.

    `endpoint` is the address that the caller used, `key` whose key pair signed (rights.py).
    """

    world: World
    request: JsonObject = field(repr=False)
    at: datetime
    draw: Draw
    endpoint: str = ""
    key: str = ""

    def arn(self, kind: str, *path: str) -> str:
        """An ARN of this region and account."""
        return arns.make(self.world.region, self.world.account, kind, *path)

    def cluster_named(self, member: str = "cluster") -> Cluster:
        """The cluster that the request names, ``default`` where it names none. Raises ClusterNotFoundException."""
        cluster = self.world.clusters.get(self.cluster_name(member))
        if cluster is None:
            raise cluster_not_found()
        if cluster.status == "INACTIVE":
            raise cluster_not_found("The referenced cluster was inactive.")
        return cluster

    def cluster_name(self, member: str = "cluster") -> str:
        """The name behind the request's name or ARN; empty for an ARN that is none of ours."""
        return self.short_name("cluster", self.request.get(member) or "default")

    def short_name(self, kind: str, text: str) -> str:
        """The last part of an ARN of *kind* that is ours, *text* itself where it is no ARN, else empty."""
        if not text.startswith("arn:"):
            return text
        name = text.rpartition("/")[2]
        return name if text == self.arn(kind, name) else ""

    def full_arn(self, kind: str, text: str, cluster: Cluster) -> str:
        """The ARN that *text*, an id or an ARN, names inside *cluster*. Raises Fault for one of another cluster."""
        if not text.startswith("arn:"):
            return self.arn(kind, cluster.name, text)
        arn = arns.parse(text)
        if arn is None or arn.kind != kind:
            raise invalid(f"Invalid identifier: {text[:300]!r} is not the ARN of a {kind}")
        owner = arn.path[0] if len(arn.path) > 1 else cluster.name
        if owner != cluster.name:
            raise invalid(f"Identifier is for cluster {owner}. Your cluster is {cluster.name}")
        return text

    def task_named(self, text: str, cluster: Cluster) -> PlaneTask:
        """The task that *text* names in *cluster*. Raises InvalidParameterException."""
        task = self.world.tasks.get(self.full_arn("task", text, cluster))
        if task is None:
            raise invalid("The referenced task was not found.")
        return task

    def instance_named(self, text: str, cluster: Cluster) -> ContainerInstance:
        """The container instance that *text* names in *cluster*. Raises InvalidParameterException."""
        instance = self.world.instances.get(self.full_arn("container-instance", text, cluster))
        if instance is None:
            raise invalid("The referenced container instance was not found.")
        return instance

    def definition_named(self, text: str, missing: str) -> TaskDefinition:
        """The revision that ``family``, ``family:revision`` or an ARN names; a bare family is its latest ACTIVE one.

        Raises ClientException with the text *missing*.
        """
        family, colon, revision = self.short_name("task-definition", text).partition(":")
        if colon:
            if not revision.isascii() or not revision.isdigit():
                raise invalid(f"Invalid revision number. Number: {revision[:50]}")
            found = self.world.definitions.get(f"{family}:{revision.lstrip('0')}")
        else:
            found = latest(d for d in self.world.definitions.values() if d.family == family and d.status == "ACTIVE")
        if found is None:
            raise client(missing)
        return found


def latest(definitions: Iterable[TaskDefinition]) -> TaskDefinition | None:
    """The one with the highest revision."""
    return max(definitions, key=lambda definition: definition.revision, default=None)
