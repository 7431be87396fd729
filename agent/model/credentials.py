"""Credentials of a role. They live in memory only; what travels and what is saved is their id."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class RoleCredentials:
    """What a task's containers sign with. Prints without its values.

    `expiration` keeps ECS's own text: it is echoed verbatim in the acknowledgement.
    """

    credentials_id: str
    role_arn: str
    role_type: str
    """``TaskApplication`` or ``TaskExecution``."""
    expiration: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)

    @property
    def expires_at(self) -> datetime | None:
        """When they are good for nothing any more; None where ECS's text does not say so in a way that we read."""
        try:
            read = datetime.fromisoformat(self.expiration)
        except ValueError:
            return None
        return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """User name and password for a registry, or a token. Prints without its values."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class ContainerValues:
    """What is joined to the create body of one container, and stands nowhere else. Prints without its values."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets as variables; they win over the task definition's."""
    log_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Mapping[str, str], ...] = field(default=(), repr=False)
    """Environment files, read, in the task definition's order; they only fill gaps, and the earlier file wins."""


NO_VALUES = ContainerValues()
"""Those of a container that asks for none."""


@dataclass(frozen=True, slots=True)
class TaskValues:
    """What was fetched for one task. Prints without its values."""

    containers: Mapping[str, ContainerValues] = field(default_factory=dict, repr=False)
    logins: Mapping[str, RegistryLogin] = field(default_factory=dict, repr=False)
    """By the ``credentialsParameter`` that asked for them."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys that the agent itself signs with. Prints without its values."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
