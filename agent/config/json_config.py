"""The reference agent's JSON: the file beside ``ecs.config``, and the same object in the user data of an EC2 instance.

Keys are read without regard to case, as Go does. Zero, false, ``null`` and what is empty count as not given there.
"""

import json
from collections.abc import Mapping

from agent.config.sources import Form, Source

IN_USER_DATA = "ECSAgentConfiguration"
USER_DATA = "EC2 user data"
NOTHING: tuple[object, ...] = (None, "", 0, [], {})
"""False is among them: it equals 0."""
OLD_CLUSTER, CLUSTER = "clusterarn", "cluster"
TOO_LATE = {"datadir": "DataDir", "dockerendpoint": "DockerEndpoint"}
"""Keys that count no more once instance metadata can be asked."""


class NotReadable(ValueError):
    """The text is no JSON object. Says why, without showing any of it."""


def file_source(text: str, name: str) -> tuple[Source, tuple[str, ...]]:
    """What the file *name* holds, and remarks. Raises NotReadable; a blank one holds nothing."""
    if not text.strip():
        return Source(name, Form.JSON, {}), ()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotReadable(_why(error)) from error
    if not isinstance(document, dict):
        raise NotReadable("it is JSON, but no object")
    return _source(document, name)


def user_data_source(text: str) -> tuple[Source, tuple[str, ...]] | None:
    """What *text* holds for the agent, and remarks. None if it is for somebody else: a script, as a rule."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    folded = {str(key).lower(): content for key, content in document.items()}
    content = folded.get(IN_USER_DATA.lower())
    if not isinstance(content, dict):
        return None
    source, remarks = _source(content, USER_DATA)
    late = [key for key in TOO_LATE if key in source.values]
    remarks += tuple(f"{TOO_LATE[key]}: counts for nothing there: user data is read too late for it" for key in late)
    kept = {key: value for key, value in source.values.items() if key not in TOO_LATE}
    return Source(USER_DATA, Form.JSON, kept, is_of_reference=True), remarks


def is_nothing(value: object, *, zero_counts: bool) -> bool:
    """Does *value* count as not given?"""
    return value in NOTHING and not (zero_counts and isinstance(value, bool))


def _source(document: Mapping[str, object], name: str) -> tuple[Source, tuple[str, ...]]:
    values = {key.lower(): value for key, value in document.items()}
    remarks: tuple[str, ...] = ()
    if old := values.pop(OLD_CLUSTER, None):
        remarks = ("ClusterArn: is the old name of Cluster",)
        values[CLUSTER] = values.get(CLUSTER) or old
    return Source(name, Form.JSON, values, is_of_reference=True), remarks


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error.msg}, line {error.lineno}, column {error.colno}"
    return "it is no JSON that can be read"
