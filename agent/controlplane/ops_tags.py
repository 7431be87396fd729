"""The action that shows the tags of one thing, of whatever kind."""

from agent.controlplane import arns
from agent.controlplane.call import Call
from agent.controlplane.faults import client, invalid
from agent.controlplane.records import JsonObject, Tags
from agent.controlplane.tags import show_tags

WITH_CLUSTER = ("task", "container-instance")
"""Kinds whose long ARN names the cluster too."""
LONG = 2


def list_tags_for_resource(call: Call) -> JsonObject:
    """The tags of a cluster, a definition, a task or a container instance; the other kinds there are not here."""
    text = call.request["resourceArn"]
    arn = arns.parse(text)
    if arn is None:
        raise invalid(f"Invalid identifier: {text[:300]!r} is not the ARN of a resource of Amazon ECS")
    if arn.kind in WITH_CLUSTER and len(arn.path) < LONG:
        raise invalid("Long arn format must be used for tagging operations")
    found = _tags_of(call, text, arn)
    if found is None and arn.kind == "task-definition":
        raise client("The specified task definition does not exist.")
    if found is None:
        raise invalid("The specified resource is not found: resourceArn")
    return {"tags": show_tags(found)}


def _tags_of(call: Call, text: str, arn: arns.Arn) -> Tags | None:
    world, name = call.world, arn.path[-1]
    shelves = {
        "cluster": world.clusters.get(name),
        "task-definition": world.definitions.get(name),
        "task": world.tasks.get(text),
        "container-instance": world.instances.get(text),
    }
    record = shelves.get(arn.kind)
    return record.tags if record is not None and record.arn == text else None
