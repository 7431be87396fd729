"""Makes credentials for roles: random values under a saved id, kept nowhere.

Nobody checks these values: on one machine a role is a name. They exist so that SDKs inside a task find what they look
for, and they expire and are refreshed like real ones.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.controlplane.keys_driver import ID_LETTERS
from agent.controlplane.records import PlaneTask
from agent.wire.acs_spec import EXECUTION_ROLE, TASK_ROLE
from agent.wire.acs_task import IAMRoleCredentials

LIFE = timedelta(hours=6)
EARLY = timedelta(hours=1)
"""How long before they expire values are made anew."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a task: what is minted for whom."""

    task: str
    role_type: str
    role_arn: str
    credentials_id: str = field(repr=False)


def roles_of(task: PlaneTask) -> tuple[Role, ...]:
    """The roles that a task has."""
    roles = (
        Role(task.arn, TASK_ROLE, task.task_role, task.task_credentials_id),
        Role(task.arn, EXECUTION_ROLE, task.execution_role, task.execution_credentials_id),
    )
    return tuple(role for role in roles if role.credentials_id)


def mint(role: Role, now: datetime) -> IAMRoleCredentials:
    """Fresh values for a role."""
    return IAMRoleCredentials(
        credentials_id=role.credentials_id,
        role_arn=role.role_arn,
        access_key_id="ASIA" + "".join(secrets.choice(ID_LETTERS) for _ in range(16)),
        secret_access_key=secrets.token_urlsafe(30),
        session_token=secrets.token_urlsafe(120),
        expiration=f"{now + LIFE:%Y-%m-%dT%H:%M:%SZ}",
    )
