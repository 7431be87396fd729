"""The roles of tasks, and the values that stand for them: made when somebody needs them, and never on a disk."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from agent.controlplane import arns
from agent.controlplane.records import PlaneTask
from agent.model.errors import AgentError
from agent.wire.acs_spec import EXECUTION_ROLE, TASK_ROLE
from agent.wire.acs_task import IAMRoleCredentials

LIFE = timedelta(hours=6)
"""How long values are good for that bring no end of their own."""
EARLY = timedelta(hours=1)
"""How long before they expire values are made anew, at most: of a short life it is the last third."""
TEXT = "%Y-%m-%dT%H:%M:%SZ"
ROLE_SOURCE = "DOCKWORKER_ROLE_CREDENTIALS"
"""The variable that names where they come from."""


class RoleSource(StrEnum):
    """Where the values come from."""

    LOCAL = "local"
    """Keys of the control plane's own, which it alone takes."""
    HOST = "host"
    """The keys of whoever runs the control plane, as they are."""
    ASSUME = "assume"
    """STS, asked to assume the role."""


class CannotMint(AgentError):
    """There are no values for a role now. It is worth another try, after a while."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a task: what is minted for whom."""

    task: str
    role_type: str
    role_arn: str
    credentials_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Values, and when they end. Prints without them."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Minted:
    """Values for one role, and when they are to be made anew."""

    role: Role
    keys: RoleKeys
    renew_at: datetime

    @classmethod
    def of(cls, role: Role, keys: RoleKeys, now: datetime) -> "Minted":
        """What was made *now*."""
        return cls(role, keys, keys.expires_at - min(EARLY, (keys.expires_at - now) / 3))

    @property
    def credentials(self) -> IAMRoleCredentials:
        """As an agent is told of them."""
        return IAMRoleCredentials(
            credentials_id=self.role.credentials_id,
            role_arn=self.role.role_arn,
            access_key_id=self.keys.access_key_id,
            secret_access_key=self.keys.secret_access_key,
            session_token=self.keys.session_token,
            expiration=f"{self.keys.expires_at:{TEXT}}",
        )


def roles_of(task: PlaneTask) -> tuple[Role, ...]:
    """The roles that a task has."""
    roles = (
        Role(task.arn, TASK_ROLE, _whole(task, task.task_role), task.task_credentials_id),
        Role(task.arn, EXECUTION_ROLE, _whole(task, task.execution_role), task.execution_credentials_id),
    )
    return tuple(role for role in roles if role.credentials_id)


def _whole(task: PlaneTask, role: str) -> str:
    """The ARN of a role; a definition may give its name alone."""
    home = arns.parse(task.arn)
    if role.startswith("arn:") or not role or home is None:
        return role
    return f"arn:{arns.partition(home.region)}:iam::{home.account}:role/{role.removeprefix('/')}"
