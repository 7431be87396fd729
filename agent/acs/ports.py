"""What the ACS session needs of the house and of the world."""

from collections.abc import Iterable
from typing import Protocol

from agent.model.credentials import RoleCredentials
from agent.model.events import Event


class Engine(Protocol):
    """Where facts go. The runner, seen from here."""

    async def save(self, *events: Event) -> None:
        """Return when the events are decided and on the disk; only then may ECS be told "got it"."""
        ...


class Decides(Protocol):
    """Where what was found on the host goes. The runner, seen from here."""

    async def submit(self, *events: Event) -> None:
        """Return when the events are decided, and what they came to is in the journal."""
        ...


class Devices(Protocol):
    """The links and disks of the host."""

    async def keys(self) -> frozenset[str]:
        """The MAC addresses of all links, in lower case, and the serial numbers of all disks."""
        ...


class Vault(Protocol):
    """Keeps the values of credentials, in memory only."""

    def put(self, credentials: RoleCredentials) -> None:
        """Keep the values under their id, in place of older ones."""
        ...

    def forget(self, ids: Iterable[str]) -> None:
        """Drop the values under *ids* that no live task uses."""
        ...

    def is_missing_any(self) -> bool:
        """Is an id without values, or with values that expire soon? Then ACS is asked to send credentials again."""
        ...


class PollEndpoints(Protocol):
    """The ECS action DiscoverPollEndpoint, cached for 12 hours."""

    async def acs_endpoint(self, instance_arn: str) -> str:
        """The http(s) base URL of ACS. Raises TryAgain; InactiveInstance where ECS says so."""
        ...

    def forget(self) -> None:
        """Ask afresh next time: the endpoint did not answer."""
        ...


class Signer(Protocol):
    """Signs with the credentials of the agent."""

    async def upgrade_headers(self, url: str) -> dict[str, str]:
        """The SigV4 headers for the GET that opens a WebSocket at *url* (http or https, query included).

        Raises TryAgain where there are no credentials.
        """
        ...

    def refused(self, url: str, date: str, why: str) -> bool:
        """The handshake at *url* was refused at *date* for the reason *why*. Is the date of the signature to blame?

        Then the next one has a better date.
        """
        ...


class Telemetry(Protocol):
    """Tells ECS of this instance, on a connection of its own."""

    def heartbeat(self) -> None:
        """ECS has sent a heartbeat: what the instance is able to do is looked at again."""
        ...

    def let_go(self) -> None:
        """ECS has let go of this instance: there is nothing more to tell of it."""
        ...
