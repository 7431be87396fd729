"""What is answered where there is nothing to show: each version of the metadata has its own words and codes.

A container that asks for what is another task's gets the words for an unknown id; never a code from 500 on, after which
it would only ask again.
"""

from collections.abc import Mapping

from agent.endpoints.bodies import V3, V4
from agent.endpoints.calls import Answer
from agent.endpoints.routes import Kind, Route
from agent.wire import go_json

BAD_REQUEST, NOT_FOUND, FAILED = 400, 404, 500

_NO_CONTAINER = "unable to get container ID from request: unable to get docker ID from v3 endpoint ID: "
_NO_CONTAINER_OF_ASSOCIATIONS = _NO_CONTAINER.replace("container ID", "container id")
_NO_TASK = "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: "

_HANDLERS: Mapping[Kind, tuple[str, str]] = {
    Kind.CONTAINER: ("container metadata", _NO_CONTAINER),
    Kind.TASK: ("task metadata", _NO_TASK),
    Kind.TASK_WITH_TAGS: ("task metadata", _NO_TASK),
    Kind.STATS: ("container stats", _NO_TASK),
    Kind.TASK_STATS: ("task stats", _NO_TASK),
    Kind.ASSOCIATIONS: ("container associations", _NO_CONTAINER_OF_ASSOCIATIONS),
    Kind.ASSOCIATION: ("container associations", _NO_TASK),
}
_ASSOCIATIONS = frozenset({Kind.ASSOCIATIONS, Kind.ASSOCIATION})
_STATS = frozenset({Kind.STATS, Kind.TASK_STATS})


def said(status: int, text: str) -> Answer:
    """*text* as a JSON text, which is what all of these errors are."""
    return Answer(status, go_json.dumps(text))


def unknown(route: Route) -> Answer:
    """No container has the id in the path, or it has not been created yet."""
    handler, lack = _HANDLERS[route.kind]
    text = f"V{route.version} {handler} handler: {lack}{route.key}"
    if route.kind in _ASSOCIATIONS:
        return said(BAD_REQUEST, text)
    if route.version == V4:
        return said(NOT_FOUND, text)
    return said(BAD_REQUEST if route.kind in _STATS else FAILED, text)


def refused(route: Route) -> Answer:
    """The id in the path is that of another task's container."""
    answer = unknown(route)
    return answer if answer.status < FAILED else Answer(NOT_FOUND, answer.body)


def unknown_caller(remote: str) -> Answer:
    """Metadata of version 2 are for containers that have a network interface of their task."""
    address = remote.rpartition(":")[0].strip("[]")
    return said(BAD_REQUEST, f"Unable to get task arn from request: unable to associate '{address}' with task")


def no_container(docker_id: str) -> Answer:
    """No container is called so whose metadata the caller may have; only version 2 goes by that name."""
    return said(BAD_REQUEST, f"Unable to generate metadata for container '{docker_id}'")


def no_networks(version: int, docker_id: str) -> Answer:
    """Docker does not say in which networks a container is."""
    initial = "U" if version == V3 else "u"
    return said(FAILED, f"{initial}nable to generate network response for container '{docker_id}'")


def no_stats(version: int, docker_id: str) -> Answer:
    """A container is not measured: it does not run, or none are."""
    return said(FAILED if version == V4 else BAD_REQUEST, f"Unable to get container stats for: {docker_id}")


def no_name(version: int) -> Answer:
    """One association is asked for, and its name is empty."""
    return said(BAD_REQUEST, f"V{version} container associations handler: unable to get association name from request")


def no_association(kind: str, name: str) -> Answer:
    """The task has no such association."""
    text = f"unable to get association from association type {kind} and association name {name}"
    return said(BAD_REQUEST, f"Unable to write container association response: {text}")
