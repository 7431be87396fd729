"""What membership needs of the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.model.identity import Attribute, Identity, Resource


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


@dataclass(frozen=True, slots=True)
class Registered:
    """What the agent reads of the answer."""

    instance_arn: str
    attributes: tuple[Attribute, ...] = ()


class RegistrationFailure(Exception):
    """ECS did not register us. `code` is the API's error code, ``""`` for a network failure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.message = message


class Registry(Protocol):
    """The ECS actions RegisterContainerInstance and CreateCluster."""

    async def register(self, registration: Registration) -> Registered:
        """Register or re-register. Raises RegistrationFailure."""
        ...

    async def create_cluster(self, name: str) -> str:
        """Create the cluster called *name*; gives its name. Raises RegistrationFailure."""
        ...


class IdentityFile(Protocol):
    """The atomically written file beside the journal."""

    async def read(self) -> Identity | None:
        """The saved identity, or None. A file that cannot be read is set aside."""
        ...

    async def write(self, identity: Identity) -> None:
        """Replace the saved identity; returns when it is on the disk."""
        ...


class HostFacts(Protocol):
    """What this machine has to offer."""

    async def resources(self) -> Sequence[Resource]:
        """totalResources: CPU, MEMORY, PORTS, PORTS_UDP."""
        ...

    async def attributes(self) -> Sequence[Attribute]:
        """Capabilities and host attributes, without the operator's own."""
        ...
