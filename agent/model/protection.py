"""What ECS says of the protection of a task (API: GetTaskProtection, UpdateTaskProtection)."""

from dataclasses import dataclass
from datetime import datetime

from agent.model.errors import AgentError


@dataclass(frozen=True, slots=True)
class Protection:
    """How one task is protected. `expires_at` is None where it is not."""

    task: str
    enabled: bool
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProtectionFailure:
    """Why ECS says nothing of a task, or does not protect it; None for what it left out."""

    arn: str | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ProtectionAnswer:
    """What ECS answered. It was asked about one task, but may say what it likes."""

    protected: tuple[Protection, ...] = ()
    failures: tuple[ProtectionFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class ProtectionWish:
    """What a task wants for itself. `minutes` is None for as long as is usual."""

    enabled: bool
    minutes: int | None = None


class ServiceRefused(AgentError):
    """A service of AWS answered with an error, or not in a way that can be read.

    `code` is empty where it was no service of AWS that spoke, `status` 0 where nobody did.
    """

    def __init__(self, code: str, message: str, status: int = 0, request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id


class NoTimelyAnswer(AgentError):
    """A service did not answer within the time that there is."""
