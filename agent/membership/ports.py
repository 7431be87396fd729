"""What membership needs of the world."""

from collections.abc import Sequence
from typing import Protocol

from agent.model.identity import Attribute, Identity, Resource
from agent.model.registration import Registered, Registration


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
