"""The rules of what a container keeps elsewhere: secrets, environment files, the login for its registry.

(API: Secret, EnvironmentFile, RepositoryCredentials.)
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.controlplane.faults import Fault, client
from agent.controlplane.names import repeated
from agent.controlplane.records import JsonObject

MOST_FILES = 10
PARAMETER = re.compile(r"[\w./-]{1,2048}", re.ASCII)
ARN = re.compile(r"arn:[^:]+:(?P<service>ssm|secretsmanager):(?P<region>[^:]*):[^:]*:(?P<rest>.+)", re.DOTALL)
ECR = re.compile(r"(?P<registry>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\..+", re.ASCII)
"""An image of ECR: its host names the registry and the region."""
FILE = re.compile(r"arn:[^:]+:s3:::[^/]+/.+\.env", re.DOTALL)
PREFIXES = {"ssm": "parameter/", "secretsmanager": "secret:"}
PROVIDERS = {"ssm": "ssm", "secretsmanager": "asm"}


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps a value: `provider` is ``ssm`` or ``asm``; without a `region`, that of the task."""

    provider: str
    region: str = ""


def keeper_of(value_from: str) -> Keeper | None:
    """Where the value is kept that *value_from*, an ARN or the name of a parameter, stands for; None for neither."""
    if not value_from.startswith("arn:"):
        return Keeper("ssm") if PARAMETER.fullmatch(value_from) else None
    found = ARN.fullmatch(value_from)
    if not found or not found["rest"].startswith(PREFIXES[found["service"]]):
        return None
    return Keeper(PROVIDERS[found["service"]], found["region"])


def check_values(container: JsonObject, where: str, *, has_execution_role: bool) -> None:
    """Raise ClientException where a rule is broken; values themselves are only looked at when a task starts."""
    for variable in container["environment"]:
        if not variable.get("name"):
            raise client(f"environment {where} holds an entry without a name.")
    check_files(container.get("environmentFiles", ()), where, client)
    log = container.get("logConfiguration", {})
    _check_secrets(container.get("secrets", ()), f"secrets {where}")
    _check_secrets(log.get("secretOptions", ()), f"logConfiguration.secretOptions {where}")
    if not has_execution_role and (container.get("secrets") or log.get("secretOptions")):
        raise client("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
    check_secret_names(container)
    for option in log.get("secretOptions", ()):
        if option["name"] in log.get("options", {}):
            raise client(f"logConfiguration {where} sets option {option['name']} and keeps it secret as well.")
    login = container.get("repositoryCredentials")
    if login is not None:
        if not login["credentialsParameter"]:
            raise client(f"repositoryCredentials.credentialsParameter {where} should not be blank.")
        if not has_execution_role:
            raise client(
                "When you are specifying repositoryCredentials, you must also specify a value for 'executionRoleArn'."
            )


def check_files(given: Sequence[JsonObject], where: str, fault: Callable[[str], Fault]) -> None:
    """At most ten environment files, each an object in S3."""
    if len(given) > MOST_FILES:
        raise fault(f"environmentFiles {where} must hold at most {MOST_FILES} files.")
    for file in given:
        if not FILE.fullmatch(file["value"]):
            raise fault(f"environmentFiles {where} must be ARNs of objects in S3 whose names end in .env.")


def check_secret_names(container: JsonObject) -> None:
    """A variable has one source. Raises ClientException, also where an override adds the second one."""
    plain = {variable["name"] for variable in container["environment"]}
    for secret in container.get("secrets", ()):
        if secret["name"] in plain:
            raise client(
                "The secret name must be unique and not shared with any new or existing environment variables set on"
                f" the container, such as '{secret['name']}'."
            )


def _check_secrets(given: Sequence[JsonObject], where: str) -> None:
    for secret in given:
        if not secret["name"]:
            raise client(f"{where} holds an entry without a name.")
        if keeper_of(secret["valueFrom"]) is None:
            raise client(
                f"{where}: valueFrom of '{secret['name']}' must be the ARN of a secret in Secrets Manager, or the ARN"
                " or the name of a parameter of Systems Manager."
            )
    if twice := repeated(secret["name"] for secret in given):
        raise client(f"{where} names '{twice}' more than once.")
