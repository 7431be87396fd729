"""ECS's own texts, laid over a body as Go reads JSON into a struct.

Keys of structs match in any case; keys of maps are what they are. Scalars and lists replace, maps and structs merge,
null empties lists and maps and leaves everything else alone.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent.model.errors import GiveUp

Body = dict[str, Any]

CONFIG = ("Image", "Env", "Cmd", "Entrypoint", "Labels", "ExposedPorts", "Healthcheck")
HOST_CONFIG = (
    *("LogConfig", "NetworkMode", "PidMode", "IpcMode", "CgroupParent", "Runtime", "RestartPolicy"),
    *("CpuShares", "Memory", "PortBindings", "Binds", "Links", "VolumesFrom", "DeviceRequests"),
)
"""The members that we look at or set: they get these spellings. All others keep ECS's."""

_STRUCTS: Mapping[str, tuple[str, ...]] = {
    "Healthcheck": ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"),
    "LogConfig": ("Type", "Config"),
    "RestartPolicy": ("Name", "MaximumRetryCount"),
}
"""Members that are structs themselves, and the names in them."""


def laid_over(base: Body, text: str, names: Iterable[str], refusal: GiveUp) -> Body:
    """*base* with the JSON object *text* read over it. Raises GiveUp with *refusal*'s words where it is none."""
    try:
        given = json.loads(text) if text else {}
    except ValueError as bad:  # its own text quotes nothing of the document
        raise _because(refusal, f"it is no JSON: {bad}") from bad
    if not isinstance(given, dict):
        raise _because(refusal, "it must be a JSON object")
    return _merged(base, given, names, refusal)


def member(body: Mapping[str, Any], name: str) -> Body:
    """The struct or map called *name*, or an empty one."""
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _merged(base: Body, given: Body, names: Iterable[str], refusal: GiveUp) -> Body:
    merged = dict(base)
    spelled = {name.lower(): name for name in (*names, *base)}
    for key, value in given.items():
        name = spelled.setdefault(key.lower(), key)
        old = merged.get(name, {} if name in _STRUCTS else None)
        if value is None:
            if isinstance(old, list | dict) and name not in _STRUCTS:
                merged[name] = type(old)()
        elif isinstance(old, list | dict) and not isinstance(value, type(old)):
            raise _because(refusal, f"{name} must be {'an object' if isinstance(old, dict) else 'a list'}")
        elif name in _STRUCTS:
            merged[name] = _merged(member(merged, name), value, _STRUCTS[name], refusal)
        else:
            merged[name] = {**old, **value} if isinstance(old, dict) else value
    return merged


def _because(refusal: GiveUp, why: str) -> GiveUp:
    return GiveUp(refusal.name, f"{refusal}: {why}")
