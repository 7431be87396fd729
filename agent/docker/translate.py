"""From a container of a task to the body of Docker's create call.

The agent's own fields come first. ECS's `docker_config` and `host_config` texts, which are Docker's own objects, are
then laid over them as Go reads JSON into a struct: keys match in any case, scalars and lists replace, maps merge key by
key, null empties lists and maps and leaves scalars alone. What ECS puts there reaches Docker, known to us or not.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from agent.model.acts import CreateContainer
from agent.model.errors import GiveUp
from agent.model.task import ContainerSpec, Lease

Body = dict[str, Any]

_MEBIBYTE = 1 << 20
_LEAST_MEMORY = 6 * _MEBIBYTE
"""Docker refuses less."""
_LEAST_SHARES, _MOST_SHARES = 2, 262_144
"""What the kernel takes for cpu.shares."""
_NEVER_IN_CONFIG = frozenset({"hostconfig", "networkingconfig"})
"""Members of the create body that do not belong to Docker's Config object."""


def create_body(act: CreateContainer) -> Body:
    """The create body of *act*, without our labels. Raises GiveUp where ECS's texts are no JSON objects."""
    spec = act.spec
    published = act.leases if act.network_mode in ("bridge", "default") else ()
    body = _laid_over(_config(spec, published), spec.docker_config, "DockerClientConfigError", "docker config")
    for key in [key for key in body if key.lower() in _NEVER_IN_CONFIG]:
        del body[key]
    host = _host_config(spec, published, act.network_mode)
    body["HostConfig"] = _laid_over(host, spec.host_config, "HostConfigError", "host config")
    return body


def labelled(body: Body, labels: dict[str, str]) -> Body:
    """The body with our labels; they win over the user's."""
    return {**body, "Labels": {**(body.get("Labels") or {}), **labels}}


def digest(body: Body) -> str:
    """SHA-256 over the body without values that may be secret: of environment and log options the names alone count.

    A task's definition never changes, so names tell enough; a hash of a short secret could be guessed.
    """
    host = dict(body["HostConfig"])
    log = _member(host, "LogConfig")
    if isinstance(log, dict) and isinstance(options := _member(log, "Config"), dict):
        host = {k: v for k, v in host.items() if k.lower() != "logconfig"}
        host["LogConfig"] = {"Type": _member(log, "Type"), "Config": sorted(options)}
    names = sorted(str(entry).partition("=")[0] for entry in body.get("Env") or ())
    canonical = json.dumps({**body, "Env": names, "HostConfig": host}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def private_values(env: Iterable[object], log_options: Iterable[object]) -> frozenset[str]:
    """The values that no reason and no log may show: those of ``NAME=value`` entries and of log options."""
    return frozenset(str(entry).partition("=")[2] for entry in env) | frozenset(str(option) for option in log_options)


def public_in(body: Body) -> frozenset[str]:
    """The words of the command, which may stand in a reason."""
    commands = (body.get("Cmd"), body.get("Entrypoint"))
    return frozenset(str(word) for words in commands if isinstance(words, list) for word in words)


def private_in(body: Body) -> frozenset[str]:
    """The values of *body* that no reason and no log may show."""
    log = _member(body["HostConfig"], "LogConfig")
    options = _member(log, "Config") if isinstance(log, dict) else None
    return private_values(body.get("Env") or (), options.values() if isinstance(options, dict) else ())


def _config(spec: ContainerSpec, published: tuple[Lease, ...]) -> Body:
    config: Body = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in sorted(spec.environment.items())],
        "Labels": {},
        "ExposedPorts": {_port(lease): {} for lease in published},
    }
    if spec.command:
        config["Cmd"] = list(spec.command)
    if spec.entry_point:
        config["Entrypoint"] = list(spec.entry_point)
    return config


def _host_config(spec: ContainerSpec, published: tuple[Lease, ...], network_mode: str) -> Body:
    bindings: dict[str, list[dict[str, str]]] = {}
    for lease in published:  # no HostIp: Docker then binds IPv4 and IPv6
        bindings.setdefault(_port(lease), []).append({"HostIp": "", "HostPort": str(lease.host_port)})
    return {
        "CpuShares": min(max(spec.cpu, _LEAST_SHARES), _MOST_SHARES),
        "Memory": max(spec.memory * _MEBIBYTE, _LEAST_MEMORY) if spec.memory else 0,
        "NetworkMode": network_mode,
        "PortBindings": bindings,
    }


def _port(lease: Lease) -> str:
    return f"{lease.container_port}/{lease.transport}"


def _laid_over(base: Body, text: str, error: str, what: str) -> Body:
    """*base* with the JSON object *text* read over it."""
    try:
        given = json.loads(text) if text else {}
    except ValueError as bad:  # its own text quotes nothing of the document
        raise GiveUp(error, f"the {what} of the container is no JSON: {bad}") from bad
    if not isinstance(given, dict):
        raise GiveUp(error, f"the {what} of the container must be a JSON object")
    merged = dict(base)
    spelled = {key.lower(): key for key in base}
    for key, value in given.items():
        name = spelled.setdefault(key.lower(), key)
        old = merged.get(name)
        if value is None:
            if isinstance(old, (list, dict)):
                merged[name] = type(old)()
        elif isinstance(old, (list, dict)) and not isinstance(value, type(old)):
            kind = "an object" if isinstance(old, dict) else "a list"
            raise GiveUp(error, f"{name} in the {what} of the container must be {kind}")
        else:
            merged[name] = {**old, **value} if isinstance(old, dict) else value
    return merged


def _member(body: Body, name: str) -> object:
    """The member called *name*, in whatever case it is spelled."""
    return next((value for key, value in body.items() if key.lower() == name.lower()), None)
