"""Credentials of a role. They live in memory only; what travels and what is saved is their id."""

from dataclasses import dataclass, field
from datetime import datetime


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


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys that the agent itself signs with. Prints without its values."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
