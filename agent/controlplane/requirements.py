"""Which attributes an instance must have to run a definition (API: TaskDefinition, ``requiresAttributes``).

A stopTimeout asks for none: Amazon ECS reads it as container-ordering, because its agents learned both at once; agents
that order nothing may well keep a stop timeout.
"""

import re
from collections.abc import Iterator

from agent.controlplane.records import JsonObject

OLD = "com.amazonaws.ecs.capability."
NEW = "ecs.capability."
ECR = re.compile(r"\d{12}\.dkr[.-]ecr[.-].*")


def requires_attributes(body: JsonObject) -> tuple[str, ...]:
    """The names, each once, in a fixed order."""
    return tuple(
        dict.fromkeys((*_of_task(body), *(name for c in body["containerDefinitions"] for name in _of(c, body))))
    )


def _of_task(body: JsonObject) -> Iterator[str]:
    if body.get("taskRoleArn"):
        yield f"{OLD}task-iam-role-network-host" if body["networkMode"] == "host" else f"{OLD}task-iam-role"
    if "cpu" in body or "memory" in body:
        yield f"{NEW}task-cpu-mem-limit"


def _of(container: JsonObject, body: JsonObject) -> Iterator[str]:
    if container.get("privileged"):
        yield f"{OLD}privileged-container"
    yield from _of_logs(container, body)
    yield from _of_image(container, body)
    if container.get("dockerLabels") or container.get("ulimits"):
        yield f"{OLD}docker-remote-api.1.18"
    if container.get("linuxParameters", {}).get("initProcessEnabled"):
        yield f"{OLD}docker-remote-api.1.25"
    if container.get("healthCheck"):
        yield f"{NEW}container-health-check"
    for option in container.get("dockerSecurityOptions", ()):
        for name in ("selinux", "apparmor"):
            if name in option or (name == "selinux" and option.startswith("label:")):
                yield f"{OLD}{name}"


def _of_logs(container: JsonObject, body: JsonObject) -> Iterator[str]:
    log = container.get("logConfiguration")
    if log:
        yield f"{OLD}logging-driver.{log['logDriver']}"
        yield f"{OLD}docker-remote-api.1.19" if log.get("options") else f"{OLD}docker-remote-api.1.18"
        if log["logDriver"] == "awslogs" and body.get("executionRoleArn"):
            yield f"{NEW}execution-role-awslogs"


def _of_image(container: JsonObject, body: JsonObject) -> Iterator[str]:
    if ECR.match(container["image"]):
        yield f"{OLD}ecr-auth"
        if body.get("executionRoleArn"):
            yield f"{NEW}execution-role-ecr-pull"
