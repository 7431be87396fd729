"""Who this agent is to ECS."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """What survives of a registration: the journal's second leg, kept in a file and in labels.

    `agent_id` is drawn once per data directory. `instance_arn` is empty before the first registration, `client_token`
    is kept from before a registration until its answer is saved, so that a repeated call is the same call.
    """

    agent_id: str
    cluster: str
    instance_arn: str = ""
    client_token: str = ""
    availability_zone: str = ""
    ec2_instance_id: str = ""
    """The EC2 instance this was saved on, if any: a disk that wakes up on another machine is another instance."""
    drained: bool = False
    """True from before this agent sets its instance DRAINING until it has set it ACTIVE again. Nobody else's drain."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What the labels of one container say of the agent that made it: the identity's third leg."""

    agent_id: str
    cluster: str
    instance_arn: str
    home: str
    """The agent's data directory; empty for a container that was made before agents said so."""
    task: str
    created_at: datetime
    is_alive: bool = False
    """Does it run, or is it about to?"""


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of totalResources (API: Resource). Either an integer or a set of strings."""

    name: str
    integer: int | None = None
    strings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a container instance (API: Attribute). Most capabilities have no value."""

    name: str
    value: str = ""
