"""Which attributes an instance must have to run a definition (API: TaskDefinition, ``requiresAttributes``).

Time-outs ask for container-ordering: agents learned both at once, and Amazon ECS does not tell them apart. It asks for
pid-ipc-namespace-sharing for every pidMode and ipcMode; here only what is shared by a task asks for it, because the
modes host and none are Docker's own, and every agent has them.
"""

from collections.abc import Iterable, Iterator

from agent.controlplane.definition_values import ECR, keeper_of
from agent.controlplane.definition_volumes import DOCKER, EFS
from agent.controlplane.records import JsonObject

OLD = "com.amazonaws.ecs.capability."
NEW = "ecs.capability."


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
    if body.get("enableFaultInjection"):
        yield f"{NEW}fault-injection"
    if "task" in (body.get("pidMode"), body.get("ipcMode")):
        yield f"{NEW}pid-ipc-namespace-sharing"
    for volume in body["volumes"]:
        yield from _of_volume(volume)


def _of_volume(volume: JsonObject) -> Iterator[str]:
    if DOCKER in volume:
        yield f"{NEW}docker-plugin.{volume[DOCKER].get('driver') or 'local'}"
    if EFS in volume:
        yield f"{NEW}efs"
        if volume[EFS].get("authorizationConfig"):
            yield f"{NEW}efsAuth"


def _of(container: JsonObject, body: JsonObject) -> Iterator[str]:
    if container.get("privileged"):
        yield f"{OLD}privileged-container"
    yield from _of_logs(container, body)
    yield from _of_image(container, body)
    if container.get("dockerLabels") or container.get("ulimits"):
        yield f"{OLD}docker-remote-api.1.18"
    if container.get("linuxParameters", {}).get("initProcessEnabled"):
        yield f"{OLD}docker-remote-api.1.25"
    yield from _of_lifecycle(container)
    yield from _of_values(container)
    yield from _of_security(container)


def _of_lifecycle(container: JsonObject) -> Iterator[str]:
    if container.get("healthCheck"):
        yield f"{NEW}container-health-check"
    if container.get("dependsOn") or "startTimeout" in container or "stopTimeout" in container:
        yield f"{NEW}container-ordering"
    if container.get("restartPolicy", {}).get("enabled"):
        yield f"{NEW}container-restart-policy"
    if any("containerPortRange" in port for port in container["portMappings"]):
        yield f"{NEW}network.container-port-range"


def _of_security(container: JsonObject) -> Iterator[str]:
    for option in container.get("dockerSecurityOptions", ()):
        for name in ("selinux", "apparmor"):
            if name in option or (name == "selinux" and option.startswith("label:")):
                yield f"{OLD}{name}"


def _of_values(container: JsonObject) -> Iterator[str]:
    if container.get("environmentFiles"):
        yield f"{NEW}env-files.s3"
    if container.get("repositoryCredentials"):
        yield f"{NEW}private-registry-authentication.secretsmanager"
    yield from _of_secrets(container.get("secrets", ()), "environment-variables")
    yield from _of_secrets(container.get("logConfiguration", {}).get("secretOptions", ()), "bootstrap.log-driver")


def _of_secrets(given: Iterable[JsonObject], target: str) -> Iterator[str]:
    for secret in given:
        keeper = keeper_of(secret["valueFrom"])
        if keeper is not None:
            yield f"{NEW}secrets.{keeper.provider}.{target}"


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
