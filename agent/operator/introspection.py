"""What the introspection endpoint says of the agent and of its tasks, as Amazon's agent says it.

Bodies and status codes alone; how Docker is asked, and where it is served, is for others to say. A container of which
no portrait is at hand is shown by its row: without image id and volumes, its times to a microsecond.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.engine import naming
from agent.model.names import DockerId
from agent.model.portrait import Portrait
from agent.model.status import Status
from agent.model.task import Container, ContainerSpec, Task
from agent.wire import shown
from agent.wire.go_json import JsonObject, filled, moment

OK, BAD_REQUEST, NOT_FOUND = 200, 400, 404
COMMANDS: JsonObject = {"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]}
"""The answer to every path that is none."""
BY_ARN, BY_DOCKER_ID = "taskarn", "dockerid"
SHORT = 12
"""Docker ids of up to as many digits are beginnings of ids."""
NO_TASK: JsonObject = {"Arn": "", "KnownStatus": "", "Family": "", "Version": "", "Containers": None}

Portraits = Mapping[DockerId, Portrait]


@dataclass(frozen=True, slots=True)
class Told:
    """A status and the body beside it."""

    status: int
    body: JsonObject


def metadata(cluster: str, instance_arn: str, version: str, agent_hash: str) -> JsonObject:
    """Which agent this is. *instance_arn* is empty before the instance is registered."""
    return {
        "Cluster": cluster,
        "ContainerInstanceArn": instance_arn or None,
        "Version": f"Amazon ECS Agent - v{version} ({agent_hash})",
    }


def wanted(rows: Iterable[Task], query: Mapping[str, str]) -> list[Task]:
    """The tasks that an answer to *query* may show: of these alone Docker need be asked."""
    if BY_ARN in query and BY_DOCKER_ID in query:
        return []
    if BY_ARN in query:
        return [task for task in rows if task.arn == query[BY_ARN]]
    if BY_DOCKER_ID in query:
        return [task for task in rows for one in task.containers if _is_called(one, query[BY_DOCKER_ID])]
    return list(rows)


def tasks(rows: Iterable[Task], portraits: Portraits, query: Mapping[str, str]) -> Told:
    """The answer to ``/v1/tasks`` with *query*: all tasks, or the one that a filter names."""
    found = wanted(rows, query)
    if BY_ARN not in query and BY_DOCKER_ID not in query:
        return Told(OK, {"Tasks": [task_of(one, portraits) for one in found]})
    if (BY_ARN in query and BY_DOCKER_ID in query) or len(found) > 1:
        return Told(BAD_REQUEST, NO_TASK)
    return Told(OK, task_of(found[0], portraits)) if found else Told(NOT_FOUND, NO_TASK)


def docker_ids(found: Iterable[Task]) -> tuple[DockerId, ...]:
    """The containers of *found* of which Docker may be asked for a portrait."""
    return tuple(one.docker_id for task in found for one in task.containers if one.docker_id)


def task_of(task: Task, portraits: Portraits) -> JsonObject:
    """One task. What is wanted of it is left out where that tells nothing that is still to come."""
    known, desired = task.known.told, task.wanted.told
    over = known == Status.STOPPED.told and desired != Status.STOPPED.told
    back = known == Status.RUNNING.told and desired == Status.CREATED.told
    return {
        "Arn": task.arn,
        **({} if over or back else {"DesiredStatus": desired}),
        "KnownStatus": known,
        "Family": task.spec.family,
        "Version": task.spec.version,
        "Containers": [
            _container(task, spec, one, portraits.get(one.docker_id)) for spec, one in task.pairs() if one.docker_id
        ],
    }


def _container(task: Task, spec: ContainerSpec, container: Container, portrait: Portrait | None) -> JsonObject:
    name = portrait.name if portrait else naming.container_name(task.spec, spec.name)
    body: JsonObject = {
        "DockerId": container.docker_id,
        "DockerName": name,
        "Name": spec.name,
        "Image": spec.image,
        "ImageID": portrait.image_id if portrait else "",
    }
    body |= filled(
        {
            "CreatedAt": (portrait and portrait.created_at) or moment(container.created_at),
            "StartedAt": (portrait and portrait.started_at) or moment(container.started_at),
            "Ports": (portrait and shown.ports(portrait)) or [shown.asked_port(one) for one in spec.ports],
            "Volumes": portrait and shown.volumes(portrait),
        }
    )
    return body | ({"RestartCount": container.restarts} if spec.restart is not None else {})


def _is_called(container: Container, name: str) -> bool:
    if len(name) > SHORT:
        return container.docker_id == name
    return bool(container.docker_id) and container.docker_id.startswith(name)
