"""Gives a task's containers the credentials of its role, and Docker those with which it sends a task's logs.

An id stands in the address that a container was given. Which ids there are follows from the rows of tasks, and so it is
known at once after a start; the values come from ECS a moment later, or are renewed late. Until then the answer is one
that SDKs ask again after. An answer with values is never one that has expired.
"""

from dataclasses import dataclass
from datetime import timedelta

from agent.endpoints import audit
from agent.endpoints.audit import Audit
from agent.endpoints.calls import Answer, Asked, Caller, Known
from agent.endpoints.ports import Tasks, Vault
from agent.endpoints.refusals import Refusals
from agent.model.clock import Clock
from agent.model.credentials import RoleCredentials
from agent.model.status import Status
from agent.model.task import Task
from agent.wire import go_json

V1, V2 = "/v1/credentials", "/v2/credentials/"
ON_ITS_WAY = timedelta(seconds=5)
"""What expires within so short a time would have expired where it arrives."""
AGAIN_AFTER = "1"
"""Seconds."""


@dataclass(frozen=True, slots=True)
class _Lack:
    status: int
    code: str
    message: str


NO_ID = _Lack(400, "NoIdInRequest", "No Credential ID in the request")
UNKNOWN = _Lack(400, "InvalidIdInRequest", "Credentials not found")
NOT_YET = _Lack(503, "CredentialsUninitialized", "Credentials uninitialized for ID")


@dataclass(frozen=True, slots=True)
class _Role:
    """What an id stands for."""

    task: Task
    event: str


@dataclass(frozen=True, slots=True)
class CredentialsDesk:
    """Answers ``/v2/credentials/<id>`` and ``/v1/credentials?id=<id>``."""

    tasks: Tasks
    vault: Vault
    audit: Audit
    refusals: Refusals
    clock: Clock
    isolated: bool = True
    """Give them to those alone whose they are; False goes by the id."""

    async def answer(self, asked: Asked) -> Answer | None:
        """The answer; None for the path of another desk."""
        if asked.path.startswith(V2):
            return self._of(asked, asked.path.removeprefix(V2), "CredentialsV2Request: ")
        if asked.path == V1:
            return self._of(asked, asked.query.get("id", ""), "CredentialsV1Request: ")
        return None

    def _of(self, asked: Asked, credentials_id: str, prefix: str) -> Answer:
        if not credentials_id:
            return self._refused(asked, NO_ID, prefix)
        role = self._role(credentials_id)
        if role is None:
            return self._refused(asked, UNKNOWN, prefix)
        if self.isolated and not _may_have(asked.caller, role):
            self.refusals.tell(asked.caller, "credentials")
            return self._refused(asked, UNKNOWN, prefix)
        values = self.vault.get(credentials_id)
        if values is None or not self._is_good(values):
            return self._refused(asked, NOT_YET, prefix)
        self.audit.granted(asked, role.task.arn, role.event)
        return Answer(200, body(values))

    def _role(self, credentials_id: str) -> _Role | None:
        """A task's role ends with the task, that of its logs with its containers: they may still be written."""
        for task in self.tasks.tasks.values():
            if credentials_id == task.spec.task_credentials_id and task.known is not Status.STOPPED:
                return _Role(task, audit.TASK_ROLE)
            if credentials_id == task.spec.execution_credentials_id:
                return _Role(task, audit.EXECUTION_ROLE)
        return None

    def _is_good(self, values: RoleCredentials) -> bool:
        expires = values.expires_at
        has_come = bool(values.access_key_id and values.secret_access_key)
        return has_come and (expires is None or self.clock() + ON_ITS_WAY < expires)

    def _refused(self, asked: Asked, lack: _Lack, prefix: str) -> Answer:
        self.audit.refused(asked, lack.status)
        told = {"code": lack.code, "message": prefix + lack.message, "HTTPErrorCode": lack.status}
        return Answer(lack.status, go_json.dumps(told), headers={"Retry-After": AGAIN_AFTER} if lack is NOT_YET else {})


def body(values: RoleCredentials) -> bytes:
    """What SDKs read; each value as ECS has it."""
    return go_json.dumps(
        {
            "RoleArn": values.role_arn,
            "AccessKeyId": values.access_key_id,
            "SecretAccessKey": values.secret_access_key,
            "Token": values.session_token,
            "Expiration": values.expiration,
        }
    )


def _may_have(caller: Caller, role: _Role) -> bool:
    """A task's own containers get its role; processes of the host that of its logs, which Docker writes.

    What mounts a file system of EFS with the task's role does so on the host.
    """
    if role.event == audit.EXECUTION_ROLE:
        return caller.known is Known.HOST
    is_own = caller.known in (Known.ADDRESS, Known.SOCKET) and caller.task == role.task.arn
    mounts = any(volume.efs is not None and volume.efs.iam for volume in role.task.spec.volumes)
    return is_own or (mounts and caller.known is Known.HOST)
