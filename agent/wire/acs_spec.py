"""From a task on the wire to what the engine is asked to run.

Read task by task: what is wrong with one is said of that one alone, as BadInput with the field's own name.
"""

import re

import msgspec

from agent.model.credentials import RoleCredentials
from agent.model.errors import BadInput
from agent.model.names import TaskArn, task_id
from agent.model.parts import Association
from agent.model.task import TaskSpec
from agent.wire import pieces
from agent.wire.acs_container import container
from agent.wire.acs_features import refuse_what_is_missing
from agent.wire.acs_task import IAMRoleCredentials, Task
from agent.wire.acs_volumes import volumes
from agent.wire.reading import filled, read

TASK_ROLE = "TaskApplication"
EXECUTION_ROLE = "TaskExecution"

NETWORK_MODES = ("awsvpc", "bridge", "host", "none")
PID_MODES = ("", "host", "task")
IPC_MODES = ("", "host", "none", "task")
MOST_PROCESSORS = 1 << 20
"""All that the protocol knows; what this agent does not have is refused before these are read."""

LONGEST_ARN = 2048
PRINTABLE, PLAIN_ID = re.compile(r"[!-~]+"), re.compile(r"[A-Za-z0-9_-]{1,128}")

WANTED = {"RUNNING": "RUNNING", "STOPPED": "STOPPED", "DEAD": "STOPPED"}
"""Words of ``desiredStatus``, and what they come to."""

WAITING = frozenset({"", "NONE", "UNKNOWN", "MANIFEST_PULLED", "CREATED"})
"""Words of ``desiredStatus`` that ask for less than running. ECS sends none of them."""


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    arn: object = None
    desired_status: object = None


class _Roles(msgspec.Struct, frozen=True, rename="camel"):
    role_credentials: IAMRoleCredentials | None = None
    execution_role_credentials: IAMRoleCredentials | None = None


def read_arn(raw: msgspec.Raw) -> TaskArn:
    """The ARN of a task, whatever else is wrong with it. Raises BadInput where there is none."""
    arn = _head(raw).arn
    if not isinstance(arn, str) or not arn:
        raise BadInput("arn", "must be a text that is not empty")
    if len(arn) > LONGEST_ARN:
        raise BadInput("arn", f"must have {LONGEST_ARN} characters at most")
    return TaskArn(arn)


def _head(raw: msgspec.Raw) -> _Head:
    """Name and wish of a task. Raises BadInput where these cannot be read, even if all the rest is left out."""
    try:
        return read(raw, _Head)
    except BadInput as bad:
        if bad.path:
            raise
        wanted = (b'"arn"', b'"desiredStatus"')
        kept = b",".join(name + b":" + value for name, value in _members(raw, bad) if name in wanted)
        return read(b"{" + kept + b"}", _Head)


def _members(raw: msgspec.Raw, bad: BadInput) -> list[tuple[bytes, bytes]]:
    """The members of a task that is no JSON; raises *bad* where it is not even an object."""
    text = bytes(raw)
    if not text.startswith(b"{"):
        raise bad
    return pieces.members(text)


def is_stop(raw: msgspec.Raw) -> bool:
    """Does ECS want this task stopped, and not run? Raises BadInput where it wants neither."""
    word = _head(raw).desired_status or ""
    if not isinstance(word, str) or word not in WANTED.keys() | WAITING:
        raise BadInput("desiredStatus", "must be RUNNING or STOPPED")
    if word in WAITING:
        raise BadInput("desiredStatus", f"tasks that are to be no more than {word or 'NONE'} are not supported yet")
    return WANTED[word] == "STOPPED"


def read_roles(raw: msgspec.Raw) -> tuple[RoleCredentials, ...]:
    """The values behind the roles of a task. Raises BadInput."""
    roles = read(raw, _Roles)
    found = (
        role_credentials(roles.role_credentials, TASK_ROLE, "roleCredentials"),
        role_credentials(roles.execution_role_credentials, EXECUTION_ROLE, "executionRoleCredentials"),
    )
    return tuple(credentials for credentials in found if credentials is not None)


def role_credentials(given: IAMRoleCredentials | None, role_type: str, path: str) -> RoleCredentials | None:
    """*given* in the words of the house. Raises BadInput where there is no id to keep them by."""
    if given is None:
        return None
    if not given.credentials_id:
        raise BadInput(f"{path}.credentialsId", "must not be empty")
    return RoleCredentials(
        credentials_id=given.credentials_id,
        role_arn=given.role_arn or "",
        role_type=role_type,
        expiration=given.expiration or "",
        access_key_id=given.access_key_id or "",
        secret_access_key=given.secret_access_key or "",
        session_token=given.session_token or "",
    )


def read_spec(raw: msgspec.Raw) -> TaskSpec:
    """The task as the engine is asked to run it.

    Raises BadInput where a field is wrong, or asks for something that this agent does not have: a task runs as it
    was asked for, or not at all.
    """
    try:
        task = read(raw, Task)
    except BadInput as bad:
        raise bad if bad.path else pieces.blamed(bytes(raw), bad) from None
    refuse_what_is_missing(task)
    roles = {role.role_type: role.credentials_id for role in read_roles(raw)}
    asked = task.containers or ()
    gpus = _gpus(task)
    containers = tuple(
        container(one, f"containers[{at}]", tuple(gpus.get(one.name or "", ()))) for at, one in enumerate(asked)
    )
    if not containers:
        raise BadInput("containers", "must name at least one container")
    if len({one.name for one in containers}) < len(containers):
        raise BadInput("containers", "two containers have the same name")
    return TaskSpec(
        arn=_usable(read_arn(raw)),
        family=task.family or "",
        version=task.version or "",
        containers=containers,
        cpu=_processors(task.cpu or 0.0, "cpu"),
        memory=task.memory or 0,
        network_mode=_one_of(task.network_mode or "bridge", NETWORK_MODES, "networkMode"),
        pid_mode=_one_of(task.pid_mode or "", PID_MODES, "pidMode"),
        ipc_mode=_one_of(task.ipc_mode or "", IPC_MODES, "ipcMode"),
        volumes=volumes(task.volumes or ()),
        task_credentials_id=roles.get(TASK_ROLE, ""),
        execution_credentials_id=roles.get(EXECUTION_ROLE, ""),
        service=task.service_name or "",
        launch_type=task.launch_type or "",
        associations=_associations(task),
        fault_injection=bool(task.enable_fault_injection),
    )


def _usable(arn: TaskArn) -> TaskArn:
    """The ARN of a task that is to run: its last part becomes the name of files and containers."""
    if not PRINTABLE.fullmatch(arn) or not PLAIN_ID.fullmatch(task_id(arn)):
        raise BadInput("arn", "must be printable and end with letters, digits, - and _ behind its last slash")
    return arn


def _associations(task: Task) -> tuple[Association, ...]:
    """What containers may ask for; `_gpus` has found out that it makes sense."""
    return tuple(
        Association(
            one.type or "",
            one.name or "",
            tuple(one.containers or ()),
            (one.content.value or "") if one.content is not None else "",
        )
        for one in task.associations or ()
    )


def _gpus(task: Task) -> dict[str, list[str]]:
    """UUIDs of GPUs by the container that gets them, in ECS's order. Raises BadInput."""
    names = {one.name for one in task.containers or ()}
    given: dict[str, list[str]] = {}
    seen: set[str] = set()
    for at, association in enumerate(task.associations or ()):
        path = f"associations[{at}]"
        gpu, containers = filled(association.name, f"{path}.name"), association.containers or []
        if gpu in seen:
            raise BadInput(f"{path}.name", "is given away already")
        if len(containers) != 1 or containers[0] not in names:
            raise BadInput(f"{path}.containers", "must name exactly one container of the task")
        seen.add(gpu)
        given.setdefault(containers[0], []).append(gpu)
    return given


def _one_of(word: str, words: tuple[str, ...], path: str) -> str:
    if word not in words:
        raise BadInput(path, f"must be one of {', '.join(one for one in words if one)}")
    return word


def _processors(number: float, path: str) -> float:
    if not number <= MOST_PROCESSORS:
        raise BadInput(path, f"must be a number of processors, {MOST_PROCESSORS} at most")
    return number
