"""What happens to a control plane, and what it decides."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.controlplane.delivery import Delivery, Manifest
from agent.controlplane.faults import Fault
from agent.controlplane.notices import Notice
from agent.controlplane.records import JsonObject, PlaneTask
from agent.controlplane.telemetry import Told
from agent.controlplane.world import Change


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody called an action of the API. `request` has passed validate.py, `draw` is chance (draw.py).

    `key` says whose key pair signed (rights.py).
    """

    action: str
    request: JsonObject = field(repr=False)
    at: datetime
    draw: str = field(repr=False)
    endpoint: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class AgentConnected:
    """An agent opened an ACS session, whose name is `connection`. Versions come from its query."""

    instance: str
    connection: str
    at: datetime
    agent_version: str = ""
    agent_hash: str = ""
    docker_version: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The session `connection` ended. If a newer one holds the instance, this is old news."""

    instance: str
    connection: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An agent saved what a message asked for."""

    instance: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An agent will not serve a message, and says why."""

    instance: str
    message_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AttachmentWanted:
    """Something is being attached to a host, and its agent has so long to see it. `kind` is one of notices.KINDS."""

    instance: str
    kind: str
    details: JsonObject = field(repr=False)
    at: datetime
    wait: timedelta
    draw: str = field(repr=False)
    task: str = ""


@dataclass(frozen=True, slots=True)
class UpdateWanted:
    """An agent is to put the program at `location`, with this SHA-256, in its own place."""

    instance: str
    location: str
    signature: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TelemetryAsked:
    """An agent wants to bring telemetry. Changes nothing."""

    instance: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class TelemetryTold:
    """An agent told something over its session of telemetry, in a frame that `key` has signed."""

    instance: str
    told: Told
    at: datetime
    key: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryBroke:
    """A bug of ours: the start of `task` cannot be put into words."""

    task: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DeliveriesAsked:
    """A session asks what its agent is owed. Changes nothing; being an event, it sees committed state only.

    `again` asks for what was acknowledged before, too.
    """

    instance: str
    at: datetime
    again: bool = False


@dataclass(frozen=True, slots=True)
class ManifestAsked:
    """A session begins: which tasks should its agent have? Takes a number."""

    instance: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StopsAsked:
    """An agent has tasks that its manifest did not name: which of them are over? Changes nothing."""

    instance: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MinutePassed:
    """Time to forget what ended long ago."""

    at: datetime


@dataclass(frozen=True, slots=True)
class PlaneStarted:
    """The program has just started: no session survived from before."""

    at: datetime


News = AgentConnected | AgentLost | Acknowledged | Refused | TelemetryAsked | TelemetryTold | DeliveryBroke
"""What comes of the sessions of agents."""

Event = (
    Called
    | News
    | AttachmentWanted
    | UpdateWanted
    | DeliveriesAsked
    | ManifestAsked
    | StopsAsked
    | MinutePassed
    | PlaneStarted
)


@dataclass(frozen=True, slots=True)
class PlaneDecision:
    """What an event made of the world. The answer is given after the changes are committed.

    `holders` are tasks whose agents have their credentials, `touched` the instances whose agents may be owed something
    new, `gone` those that were deregistered; `over` are tasks that an agent asked about and must stop; `strangers` are
    how many tasks an agent told of that are not on its host.
    """

    changes: tuple[Change, ...] = ()
    answer: JsonObject | None = field(default=None, repr=False)
    fault: Fault | None = None
    deliveries: tuple[Delivery, ...] = ()
    notices: tuple[Notice, ...] = ()
    holders: tuple[PlaneTask, ...] = ()
    touched: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    manifest: Manifest | None = None
    over: tuple[str, ...] = ()
    strangers: int = 0
