"""What the agent adds to the options of a container's log driver."""

from agent.docker.environment import credentials_path
from agent.docker.overlay import Body, member
from agent.docker.surroundings import Surroundings
from agent.model.acts import CreateContainer
from agent.model.credentials import ContainerValues
from agent.model.errors import GiveUp

_AWSLOGS = "awslogs"
_ISOLATED = frozenset(
    {"us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isof-east-1", "us-isof-south-1", "eu-isoe-west-1"}
)
"""Regions whose endpoints Docker's awslogs driver cannot find by itself."""


def completed(log: Body, act: CreateContainer, values: ContainerValues, host: Surroundings) -> Body:
    """The ``LogConfig`` *log* of ECS with what the agent adds. Raises GiveUp where it lacks what it would add."""
    options = dict(member(log, "Config"))
    if options.get("mode") == "non-blocking":
        options.setdefault("max-buffer-size", "10m")
    if log.get("Type") == _AWSLOGS:
        options |= _signing(act)
        if host.region in _ISOLATED:
            options["awslogs-endpoint"] = f"https://logs.{host.region}.{host.dns_suffix}"
    options |= {name: value for name, value in values.log_options.items() if value}
    return {**log, "Config": options} if options else log


def _signing(act: CreateContainer) -> dict[str, str]:
    if not act.spec.logs_by_execution_role:
        return {}
    if not act.wiring.execution_credentials_id:
        text = "No execution credentials set for the task: the log driver cannot sign with the execution role"
        raise GiveUp("HostConfigError", text)
    return {"awslogs-credentials-endpoint": credentials_path(act.wiring.execution_credentials_id)}
