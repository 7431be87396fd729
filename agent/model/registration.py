"""What passes between membership, which decides how to register, and the hand that calls ECS."""

from dataclasses import dataclass

from agent.model.devices import NO_GPUS, Gpus
from agent.model.errors import AgentError
from agent.model.identity import Attribute, Resource


@dataclass(frozen=True, slots=True)
class Registration:
    """One RegisterContainerInstance request. Empty `instance_arn` registers a new instance."""

    cluster: str
    client_token: str
    instance_arn: str
    resources: tuple[Resource, ...]
    attributes: tuple[Attribute, ...]
    tags: tuple[tuple[str, str], ...] = ()
    identity_document: str = ""
    identity_signature: str = ""
    gpus: Gpus = NO_GPUS


@dataclass(frozen=True, slots=True)
class Registered:
    """What the agent reads of the answer."""

    instance_arn: str
    attributes: tuple[Attribute, ...] = ()
    status: str = ""
    """ACTIVE or DRAINING, where ECS says so."""


class RegistrationFailure(AgentError):
    """ECS did not register us. `code` is the API's error code, ``""`` for a network failure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.message = message
