"""The actions on task definitions."""

from dataclasses import replace

from agent.controlplane.arns import partition
from agent.controlplane.call import Call
from agent.controlplane.definition_rules import read_body
from agent.controlplane.describe import show_definition
from agent.controlplane.faults import client, unsupported
from agent.controlplane.pages import SortKey, page
from agent.controlplane.records import Counter, JsonObject, TaskDefinition
from agent.controlplane.requirements import requires_attributes
from agent.controlplane.tags import read_tags, show_tags

UNKNOWN = "Unable to describe task definition."


def register_task_definition(call: Call) -> JsonObject:
    """Make the next revision of a family; revisions never rewind."""
    body = read_body(call.request)
    tags = read_tags(call.request.get("tags", ()), client)
    family = body["family"]
    counter = Counter(f"revision/{family}", call.world.last(f"revision/{family}") + 1)
    definition = TaskDefinition(
        family=family,
        revision=counter.value,
        arn=call.arn("task-definition", f"{family}:{counter.value}"),
        body=body,
        registered_at=call.at,
        registered_by=f"arn:{partition(call.world.region)}:iam::{call.world.account}:root",
        requires_attributes=requires_attributes(body),
        compatibilities=("EXTERNAL", "EC2"),
        tags=tags,
    )
    call.world.put(counter)
    call.world.put(definition)
    return {"taskDefinition": show_definition(definition), "tags": show_tags(tags)}


def describe_task_definition(call: Call) -> JsonObject:
    """Show one revision, whatever its status."""
    definition = call.definition_named(call.request["taskDefinition"], UNKNOWN)
    with_tags = "TAGS" in call.request.get("include", ())
    return {
        "taskDefinition": show_definition(definition),
        "tags": show_tags(definition.tags) if with_tags else [],
    }


def deregister_task_definition(call: Call) -> JsonObject:
    """No new tasks of a revision; the revision itself stays."""
    name = call.request["taskDefinition"]
    if not call.short_name("task-definition", name).partition(":")[2]:
        raise client("Revision is missing.")
    definition = call.definition_named(name, UNKNOWN)
    if definition.status == "ACTIVE":
        definition = replace(definition, status="INACTIVE", deregistered_at=call.at)
        call.world.put(definition)
    return {"taskDefinition": show_definition(definition)}


def list_task_definitions(call: Call) -> JsonObject:
    """ARNs by family and revision. Despite its name, familyPrefix is a whole family."""
    request = call.request
    status, family = request.get("status", "ACTIVE"), request.get("familyPrefix")
    if status not in ("ACTIVE", "INACTIVE"):
        raise unsupported(f"status {status} in ListTaskDefinitions")
    found = [d.arn for d in call.world.definitions.values() if d.status == status and family in (None, d.family)]
    shown, token = page("task-definition", request, found, _sort_key, descending=request.get("sort") == "DESC")
    return {"taskDefinitionArns": shown, "nextToken": token}


def _sort_key(arn: str) -> SortKey:
    family, _, revision = arn.rpartition("/")[2].partition(":")
    return (family, int(revision))
