"""Tasks that cannot be run, by name, and what ECS is told of each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.hand import sleeper

MIB = 1024 * 1024
Spoil = Callable[[str], str | bytes]


def container(**changes: object) -> Callable[[str], str]:
    """A task with *changes* to its container."""

    def spoil(arn: str) -> str:
        task = sleeper(arn)
        task["containers"][0] |= changes
        return json.dumps(task)

    return spoil


def task(**changes: object) -> Callable[[str], str]:
    """A task with *changes* to itself."""
    return lambda arn: json.dumps({**sleeper(arn), **changes})


def written(old: str, new: str | bytes, **changes: object) -> Spoil:
    """A task in whose text *old* stands as *new*."""

    def spoil(arn: str) -> bytes:
        text = task(**changes)(arn).encode()
        assert text.count(old.encode()) == 1, text
        return text.replace(old.encode(), new if isinstance(new, bytes) else new.encode())

    return spoil


@dataclass(frozen=True, slots=True)
class Bad:
    """A task that cannot be run. `reason` is what ECS must be told; a task that is not told is dropped by `rule`."""

    name: str
    spoil: Spoil
    reason: str = ""
    rule: str = ""


DEEP = "[" * 5000 + "]" * 5000
HOST_CONFIG = "containers[0].dockerConfig.hostConfig"
ONE: dict[str, Any] = sleeper("")["containers"][0]
BAD = (
    Bad("memory as a text", task(memory="64"), "memory: expected `int | null`, got `str`"),
    Bad("memory below nothing", task(memory=-1), "memory: expected `int` >= 0"),
    Bad("memory of 20 digits", task(memory=10**20), "memory: "),
    Bad("memory of 4,000 digits", task(memory=10**4000), "memory: "),
    Bad("memory that is no number", written('"memory": 9', '"memory": NaN', memory=9), "memory: is not JSON"),
    Bad("processors beyond all numbers", written('"cpu": 9', '"cpu": 1e400', cpu=9), "cpu: number out of range"),
    Bad("more processors than anybody has", task(cpu=1e9), "cpu: must be a number of processors"),
    Bad("no containers", task(containers=[]), "containers: must name at least one container"),
    Bad("containers that are an object", task(containers={}), "containers: expected `array | null`"),
    Bad("a container that is null", task(containers=[None]), "containers[0]: expected `object`"),
    Bad("two containers of one name", task(containers=[ONE, ONE]), "containers: two containers have the same name"),
    Bad("a container without a name", container(name=""), "containers[0].name"),
    Bad("an image that is a number", container(image=7), "containers[0].image: expected `str | null`, got `int`"),
    Bad("an image that is no UTF-8", written("dockworker.invalid", b"\xff"), "containers[0].image: is not UTF-8"),
    Bad("an environment that is a list", container(environment=["A=1"]), "containers[0].environment: expected `object"),
    Bad("half a surrogate pair", written("sleep", "\\udc00"), "containers[0].command[0]: is not JSON"),
    Bad(
        "a port of 17 bits",
        container(portMappings=[{"containerPort": 70000}]),
        "containers[0].portMappings[0].containerPort",
    ),
    Bad(
        "a port as a text",
        container(portMappings=[{"containerPort": "80"}]),
        "containers[0].portMappings[0].containerPort",
    ),
    Bad(
        "a host configuration that is no JSON",
        container(dockerConfig={"hostConfig": "{"}),
        f"{HOST_CONFIG}: is not JSON",
    ),
    Bad(
        "a host configuration that is a list", container(dockerConfig={"hostConfig": "[]"}), f"{HOST_CONFIG}: must hold"
    ),
    Bad(
        "a host configuration nested 5,000 deep",
        container(dockerConfig={"hostConfig": DEEP}),
        f"{HOST_CONFIG}: is nested too deeply",
    ),
    Bad(
        "a field nested 5,000 deep", written('"odd": 9', f'"odd": {DEEP}', odd=9), "odd[0][0][0]: is nested too deeply"
    ),
    Bad(
        "a key twice, the last of which counts",
        written('"odd": 9', '"memory": "x"', memory=9, odd=9),
        "memory: expected",
    ),
    Bad("a wish that nobody knows", task(desiredStatus="SLEEPING"), "desiredStatus: must be RUNNING or STOPPED"),
    Bad("a wish that is a number", task(desiredStatus=1), "desiredStatus: must be RUNNING or STOPPED"),
    Bad("a network that nobody knows", task(networkMode="pigeons"), "networkMode: must be one of"),
    Bad(
        "a role without an id",
        task(roleCredentials={"roleArn": "r"}),
        "roleCredentials.credentialsId: must not be empty",
    ),
    Bad(
        "a secret that nobody keeps",
        container(secrets=[{"name": "A", "valueFrom": "b", "provider": "me"}]),
        "containers[0].secrets[0].provider",
    ),
    Bad("volumes that are texts", task(volumes=["x"]), "volumes[0]: expected `object`"),
    Bad("a thing that this agent does not have", task(proxyConfiguration={"type": "APPMESH"}), "proxyConfiguration: "),
    Bad("a name that leads out of its folder", lambda arn: json.dumps(sleeper(f"{arn}/..")), "arn: must be printable"),
    Bad("a name with a zero octet", lambda arn: json.dumps(sleeper(f"{arn}\0")), "arn: must be printable"),
    Bad("no name", lambda _: json.dumps({"desiredStatus": "RUNNING"}), rule="arn: must be a text that is not empty"),
    Bad("a name that is a number", lambda _: '{"arn":7}', rule="arn: must be a text that is not empty"),
    Bad(
        "a name of a mebibyte", lambda _: json.dumps(sleeper("x" * MIB)), rule="arn: must have 2048 characters at most"
    ),
    Bad("null in place of a task", lambda _: "null", rule="expected `object`, got `null`"),
    Bad("a text in place of a task", lambda _: '"task"', rule="expected `object`, got `str`"),
    Bad("nothing but brackets", lambda _: DEEP, rule="expected `object`, got `array`"),
)
