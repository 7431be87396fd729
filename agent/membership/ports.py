"""What membership needs of the world."""

from collections.abc import Sequence
from typing import Protocol

from agent.model.devices import Gpus
from agent.model.identity import Attribute, Identity, Resource, Trace
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
    """The atomically written file beside the journal, and the journal's copy of it."""

    async def read(self) -> Identity | None:
        """The saved identity, or None. A file that cannot be understood is set aside. Raises OSError."""
        ...

    async def is_there(self) -> bool:
        """Is there a file?"""
        ...

    async def set_aside(self) -> None:
        """Put the file out of the way, with its date. Raises OSError."""
        ...

    async def write(self, identity: Identity) -> None:
        """Replace the saved identity; returns when it is on the disk. Raises OSError."""
        ...


class Traces(Protocol):
    """What the containers of this host tell of the agents that made them."""

    async def traces(self) -> Sequence[Trace]:
        """One of each container. Raises TryAgain."""
        ...


class Names(Protocol):
    """Who is who among the living agents of this host."""

    def claim(self, agent_id: str) -> None:
        """Be *agent_id* from now on. Raises Fatal where another process is."""
        ...

    def is_alive(self, agent_id: str) -> bool:
        """Is another process *agent_id*?"""
        ...


class HostFacts(Protocol):
    """What this machine has to offer. Methods raise AgentError."""

    async def resources(self) -> Sequence[Resource]:
        """totalResources: CPU, MEMORY, PORTS, PORTS_UDP."""
        ...

    async def attributes(self) -> Sequence[Attribute]:
        """Capabilities and host attributes, without the operator's own."""
        ...

    async def gpus(self) -> Gpus:
        """The GPUs that tasks may be given."""
        ...


class InstanceMetadata(Protocol):
    """What the cloud says of this machine. Answers are empty where there is no cloud; only `tags` raises."""

    async def identity_document(self) -> tuple[str, str]:
        """The signed document that proves which instance this is, and its signature."""
        ...

    async def instance_id(self) -> str:
        """The EC2 instance's id."""
        ...

    async def tags(self) -> Sequence[tuple[str, str]]:
        """The machine's own tags, if the operator wants them, without reserved ones. Raises AgentError."""
        ...


class Notices(Protocol):
    """What the cloud announces. Empty while there is nothing; raises TryAgain, and GiveUp where it is refused to us.

    ``NoInstanceMetadata`` is the name where there is nobody to ask, now or later.
    """

    async def spot_action(self) -> str:
        """How and when a spot instance will be interrupted, as JSON."""
        ...

    async def rebalance_recommendation(self) -> str:
        """That the instance is more likely to be interrupted than it was, as JSON."""
        ...

    async def target_lifecycle_state(self) -> str:
        """The state that the Auto Scaling group wants the instance to be in, such as InService."""
        ...


class InstanceState(Protocol):
    """The ECS action UpdateContainerInstancesState, for one instance."""

    async def set_state(self, cluster: str, instance_arn: str, status: str) -> str:
        """Make it ACTIVE or DRAINING. Gives why ECS would not, ``""`` if it did. Raises AgentError."""
        ...
