"""Lets a task see and change its own protection from scale-in: one call to ECS for each question, nothing is kept.

The call is made with the keys of the task's role, so ECS decides what the task may.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from agent.endpoints.calls import Answer, Asked
from agent.endpoints.directory import Directory
from agent.endpoints.go_reader import BadJson, Json, Members, NoJson, Number, first_value
from agent.endpoints.ports import Protections, Vault
from agent.endpoints.refusals import Refusals
from agent.model.clock import Clock
from agent.model.credentials import SigningKeys
from agent.model.errors import AgentError
from agent.model.protection import NoTimelyAnswer, Protection, ProtectionAnswer, ProtectionWish, ServiceRefused
from agent.model.task import Task
from agent.wire import ecs, go_json
from agent.wire.go_json import JsonObject

PATH = re.compile(r"/api/(?P<key>[^/]+)/task-protection/v1/state")
GET, PUT = "GET", "PUT"
TEXT = "text/plain; charset=utf-8"
WHOLE = re.compile(r"-?(0|[1-9]\d{0,18})")
SIGNED_64 = range(-(2**63), 2**63)
INVALID, DENIED, UNKNOWN = "InvalidParameterException", "AccessDeniedException", "ResourceNotFoundException"
OURS, CANCELED = "ServerException", "RequestCanceled"


class Undecodable(AgentError):
    """The body of a request is not what it must be."""


@dataclass(frozen=True, slots=True)
class ProtectionDesk:
    """Answers ``/api/<id>/task-protection/v1/state``. `cluster` is that of the agent."""

    directory: Directory
    vault: Vault
    ecs: Protections
    refusals: Refusals
    clock: Clock
    cluster: Callable[[], str]

    async def answer(self, asked: Asked) -> Answer | None:
        """The answer; None for the path of another desk."""
        path = PATH.fullmatch(asked.path)
        if path is None:
            return None
        if asked.method not in (GET, PUT):
            return Answer(405, content_type=TEXT)
        members: dict[str, Json] | None = None
        if asked.method == PUT:
            try:
                members = read_body(asked.body)
            except Undecodable:
                return failed(400, INVALID, "UpdateTaskProtection: failed to decode request")
        task = self._task(asked, path["key"])
        if task is None:
            return failed(404, UNKNOWN, "Failed to find a task for the request")
        if members is not None and members[ENABLED] is None:
            text = "Invalid request: does not contain 'ProtectionEnabled' field"
            return failed(400, INVALID, text, task.arn)
        keys = self._keys(task)
        if keys is None:
            text = "Invalid Request: no task IAM role credentials available for task"
            return failed(403, DENIED, text, task.arn)
        return await self._ask(task, keys, wish_of(members))

    def _task(self, asked: Asked, key: str) -> Task | None:
        found = self.directory.by_metadata_id(key)
        if found is None:
            return None
        if not self.directory.may_know(asked.caller, found.task.arn):
            self.refusals.tell(asked.caller, "protection")
            return None
        return found.task

    def _keys(self, task: Task) -> SigningKeys | None:
        """Those of the task's role, as they are now; keys that have expired are none."""
        values = self.vault.get(task.spec.task_credentials_id) if task.spec.task_credentials_id else None
        if values is None or not values.access_key_id or not values.secret_access_key:
            return None
        if values.expires_at is not None and values.expires_at <= self.clock():
            return None
        return SigningKeys(values.access_key_id, values.secret_access_key, values.session_token)

    async def _ask(self, task: Task, keys: SigningKeys, wish: ProtectionWish | None) -> Answer:
        cluster = ecs.cluster_of(task.arn) or self.cluster()  # one of the cluster before, of an instance that has moved
        try:
            answer = await self.ecs.protection(cluster, task.arn, keys, wish)
        except NoTimelyAnswer:
            return failed(504, CANCELED, "Timed out calling ECS Task Protection API", task.arn)
        except ServiceRefused as error:
            if not error.code:
                return failed(500, OURS, str(error), task.arn)
            return failed(error.status or 500, error.code, str(error), task.arn, error.request_id)
        return shown(answer, task.arn)


ENABLED, MINUTES = "ProtectionEnabled", "ExpiresInMinutes"
FIELDS = {name.casefold(): name for name in (ENABLED, MINUTES)}


def read_body(body: bytes) -> dict[str, Json]:
    """The two members of a PUT, None for one that is not there. Raises Undecodable."""
    try:
        value = first_value(body)
    except (BadJson, NoJson) as error:
        raise Undecodable(str(error)) from error
    found: dict[str, Json] = {ENABLED: None, MINUTES: None}
    if value is None:
        return found
    if not isinstance(value, Members):
        raise Undecodable("it is no object")
    for name, given in value.pairs:
        field = FIELDS.get(name.casefold())
        if field is None:
            raise Undecodable("it holds a member that is not known")
        if not (given is None or (is_whole(given) if field == MINUTES else isinstance(given, bool))):
            raise Undecodable(f"{field} is of another type")
        found[field] = given
    return found


def is_whole(given: Json) -> bool:
    """Is it a number that Go takes for a whole one of 64 bits?"""
    return isinstance(given, Number) and WHOLE.fullmatch(given) is not None and int(given) in SIGNED_64


def wish_of(members: dict[str, Json] | None) -> ProtectionWish | None:
    """What a PUT wants; None for a GET."""
    if members is None:
        return None
    minutes = members[MINUTES]
    return ProtectionWish(members[ENABLED] is True, int(minutes) if isinstance(minutes, Number) else None)


def shown(answer: ProtectionAnswer, task: str) -> Answer:
    """What ECS said of the one task."""
    if len(answer.failures) > 1 or len(answer.protected) + len(answer.failures) == 0:
        return failed(500, OURS, "Unexpected error occurred", task)
    if answer.failures:
        (failure,) = answer.failures
        told = {"Arn": failure.arn, "Detail": failure.detail, "Reason": failure.reason}
        return Answer(200, go_json.dumps({"failure": told}))
    if len(answer.protected) > 1:
        return failed(500, OURS, "Unexpected error occurred", task)
    return Answer(200, go_json.dumps({"protection": _protection(answer.protected[0])}))


def _protection(one: Protection) -> JsonObject:
    return {
        "ExpirationDate": go_json.moment(one.expires_at) if one.expires_at is not None else None,
        "ProtectionEnabled": one.enabled,
        "TaskArn": one.task,
    }


def failed(status: int, code: str, message: str, task: str = "", request_id: str = "") -> Answer:
    """An error; what is not known is left out."""
    error = ({"Arn": task} if task else {}) | {"Code": code, "Message": message}
    return Answer(status, go_json.dumps(({"requestID": request_id} if request_id else {}) | {"error": error}))
