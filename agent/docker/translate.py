"""From a container of a task to the body of Docker's create call.

The agent's own fields come first. ECS's `docker_config` and `host_config` texts, which are Docker's own objects, are
then laid over them (see `overlay`): what ECS puts there reaches Docker, known to us or not. What belongs to the task as
a whole, and what the log driver needs, comes last and wins.

The API version that a payload names is not spoken: one version is agreed on for all calls, the newest that both sides
know. Where an older version means something else that users can see, the body says it (`Surroundings.ipc_mode`).
"""

import hashlib
import json
from collections.abc import Collection, Iterable

from agent.docker import environment, log_options, overlay
from agent.docker.overlay import Body, member
from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.model.acts import CreateContainer
from agent.model.credentials import NO_VALUES, ContainerValues
from agent.model.errors import GiveUp
from agent.model.task import Lease, PortMapping

_CONFIG_ERROR, _HOST_CONFIG_ERROR = "DockerClientConfigError", "HostConfigError"
_BAD_CONFIG = GiveUp(_CONFIG_ERROR, "Unable decode given docker config")
_BAD_HOST_CONFIG = GiveUp(_HOST_CONFIG_ERROR, "Unable to decode given host config")

_MEBIBYTE = 1 << 20
_LEAST_MEMORY = 6 * _MEBIBYTE
"""Docker refuses less."""
_LEAST_SHARES, _MOST_SHARES = 2, 262_144
"""What the kernel takes for cpu.shares."""
_NEVER_IN_CONFIG = frozenset({"hostconfig", "networkingconfig"})
"""Members of the create body that do not belong to Docker's Config object."""


def create_body(
    act: CreateContainer,
    values: ContainerValues = NO_VALUES,
    host: Surroundings = NOWHERE_SPECIAL,
    of_image: Collection[str] = (),
) -> Body:
    """The create body of *act*, without our labels. *of_image* is the image's own environment.

    Raises GiveUp where ECS's texts are no JSON objects, or lack what the task needs of them.
    """
    published = _published(act)
    config = _config(act, environment.whole(act, values, host, of_image), published)
    body = overlay.laid_over(config, act.spec.docker_config, overlay.CONFIG, _BAD_CONFIG)
    for key in [key for key in body if key.lower() in _NEVER_IN_CONFIG]:
        del body[key]
    if act.spec.health_check and not body.get("Healthcheck"):
        text = "the health of the container is to be kept, and its docker config has no Healthcheck"
        raise GiveUp(_CONFIG_ERROR, text)
    given = _host_config(act, published, host)
    laid = overlay.laid_over(given, act.spec.host_config, overlay.HOST_CONFIG, _BAD_HOST_CONFIG)
    body["HostConfig"] = _of_the_task(laid, act, values, host)
    return body


def labelled(body: Body, labels: dict[str, str]) -> Body:
    """The body with our labels; they win over the user's."""
    return {**body, "Labels": {**(body.get("Labels") or {}), **labels}}


def digest(body: Body) -> str:
    """SHA-256 over the body without values that may be secret: of environment and log options the names alone count.

    A task's definition never changes, so names tell enough; a hash of a short secret could be guessed.
    """
    host = dict(body["HostConfig"])
    if log := member(host, "LogConfig"):
        host["LogConfig"] = {**log, "Config": sorted(member(log, "Config"))}
    names = sorted(str(entry).partition("=")[0] for entry in body.get("Env") or ())
    canonical = json.dumps({**body, "Env": names, "HostConfig": host}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def private_values(env: Iterable[object], log_options: Iterable[object]) -> frozenset[str]:
    """The values that no reason and no log may show: those of ``NAME=value`` entries and of log options.

    The name of a region is none: it stands in half of what AWS says.
    """
    entries = (str(entry).partition("=") for entry in env)
    private = (value for name, _, value in entries if name not in environment.REGION)
    return frozenset(private) | frozenset(str(option) for option in log_options)


def public_in(body: Body) -> frozenset[str]:
    """The words that may stand in a reason whatever else they are: those of the command, and host ports."""
    commands = (body.get("Cmd"), body.get("Entrypoint"))
    words = {str(word) for words in commands if isinstance(words, list) for word in words}
    bindings = member(body["HostConfig"], "PortBindings").values()
    entries = (entry for listed in bindings if isinstance(listed, list) for entry in listed)
    ports = {str(entry.get("HostPort", "")) for entry in entries if isinstance(entry, dict)}
    return frozenset(words | ports)


def private_in(body: Body) -> frozenset[str]:
    """The values of *body* that no reason and no log may show."""
    options = member(member(body["HostConfig"], "LogConfig"), "Config")
    return private_values(body.get("Env") or (), options.values())


def _published(act: CreateContainer) -> tuple[tuple[str, int], ...]:
    """``<container port>/<transport>`` and host port of every port that is published, ranges one by one."""
    leases = act.leases if act.network_mode in ("bridge", "default") else ()
    return tuple(pair for lease in leases for pair in _ports(lease))


def _exposed(ports: Iterable[PortMapping]) -> Iterable[str]:
    """The ports that the definition names, in every network mode: proxies on the host read there what is served."""
    for mapping in ports:
        for step in range(mapping.count):
            yield f"{mapping.container_port + step}/{mapping.transport}"


def _ports(lease: Lease) -> Iterable[tuple[str, int]]:
    for step in range(lease.count):
        yield f"{lease.container_port + step}/{lease.transport}", lease.host_port + step


def _config(act: CreateContainer, variables: dict[str, str], published: tuple[tuple[str, int], ...]) -> Body:
    spec = act.spec
    config: Body = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
        "Labels": {},
        "ExposedPorts": {port: {} for port in (*_exposed(spec.ports), *(port for port, _ in published))},
    }
    if spec.command:
        config["Cmd"] = list(spec.command)
    if spec.entry_point:
        config["Entrypoint"] = list(spec.entry_point)
    return config


def _host_config(act: CreateContainer, published: tuple[tuple[str, int], ...], host: Surroundings) -> Body:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port, host_port in published:  # no HostIp: Docker then binds IPv4 and IPv6
        bindings.setdefault(port, []).append({"HostIp": "", "HostPort": str(host_port)})
    spec, wiring = act.spec, act.wiring
    memory = (spec.memory or wiring.task_memory) * _MEBIBYTE
    config: Body = {
        "CpuShares": min(max(spec.cpu, _LEAST_SHARES), _MOST_SHARES),
        "Memory": max(memory, _LEAST_MEMORY) if memory else 0,
        "NetworkMode": act.network_mode,
        "PortBindings": bindings,
    }
    if host.external and spec.gpus:
        config["DeviceRequests"] = [{"Capabilities": [["gpu"]], "DeviceIDs": list(spec.gpus)}]
    said = {
        "Links": list(wiring.links),
        "Binds": list(wiring.binds),
        "VolumesFrom": list(wiring.volumes_from),
        "Runtime": _runtime(act, host),
        "IpcMode": host.ipc_mode,
    }
    return config | {name: value for name, value in said.items() if value}


def _runtime(act: CreateContainer, host: Surroundings) -> str:
    """The OCI runtime: that of a device which the container's own variables ask for, or else the host's."""
    asked = environment.of_definition(act, host)
    if act.wiring.has_gpus and environment.GPUS in asked and not host.external:
        return host.nvidia_runtime
    return "neuron" if host.inferentia and environment.NEURONS in asked else host.runtime


def _of_the_task(laid: Body, act: CreateContainer, values: ContainerValues, host: Surroundings) -> Body:
    """The host config with what no text of a container changes."""
    wiring = act.wiring
    said = {"CgroupParent": wiring.cgroup_parent, "PidMode": wiring.pid_mode, "IpcMode": wiring.ipc_mode}
    log = log_options.completed(member(laid, "LogConfig"), act, values, host)
    return laid | {name: value for name, value in said.items() if value} | ({"LogConfig": log} if log else {})
