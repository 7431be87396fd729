"""The values of credentials, secrets and logins, in memory only.

Rows, events and logs carry ids. A credentials id that has no value here was saved by an earlier process: ACS is asked
to send it again, and so it is where values are about to expire and no others have come. Values of a task are fetched
again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.model.clock import Clock, utc_now
from agent.model.credentials import ContainerValues, RegistryLogin, RoleCredentials, TaskValues
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import ImageSource, Task

SHORTEST_SECRET = 4
"""Shorter values stand in too many words to be taken out of a text."""
SOON, SOON_SHARE = timedelta(minutes=15), 4
"""They expire soon that have no more time left than this, and than one of so many parts of their time at first."""


@dataclass(frozen=True, slots=True)
class _Held:
    values: TaskValues = field(repr=False)
    execution_credentials_id: str = ""


@dataclass(frozen=True, slots=True)
class _Came:
    values: RoleCredentials
    renew_at: datetime | None
    """From then on others should have come; None for values of which nobody knows when they expire."""


class Vault:
    """Credentials by their id, values by their task. `rows` gives the rows of all tasks."""

    def __init__(self, rows: Callable[[], Iterable[Task]], clock: Clock = utc_now) -> None:
        self._rows = rows
        self._clock = clock
        self._values: dict[str, _Came] = {}
        self._tasks: dict[TaskArn, _Held] = {}

    def put(self, credentials: RoleCredentials) -> None:
        """Keep the values under their id, in place of older ones."""
        self._values[credentials.credentials_id] = _Came(credentials, _renew_at(credentials, self._clock()))

    def get(self, credentials_id: str) -> RoleCredentials | None:
        """The values behind an id; None until they arrive."""
        came = self._values.get(credentials_id)
        return came.values if came is not None else None

    def is_missing_any(self) -> bool:
        """Is there an id of a live task without values, or with values that have expired or will soon?"""
        now = self._clock()
        return any(self._is_missing(one, now) for one in ids_in_use(self._rows()))

    def _is_missing(self, credentials_id: str, now: datetime) -> bool:
        came = self._values.get(credentials_id)
        return came is None or (came.renew_at is not None and now >= came.renew_at)

    def forget(self, ids: Iterable[str]) -> None:
        """Drop the values under *ids* that nobody may ask for any more."""
        held = self._values.keys() & set(ids)
        for unused in held.difference(ids_to_keep(self._rows())) if held else ():
            del self._values[unused]

    def keep(self, task: TaskArn, values: TaskValues, execution_credentials_id: str = "") -> None:
        """Keep what was fetched for a task, in place of what was."""
        self._tasks[task] = _Held(values, execution_credentials_id)

    def values(self, task: TaskArn, container: str) -> ContainerValues | None:
        """What is joined to one container; None where nothing is held for it."""
        held = self._tasks.get(task)
        return held.values.containers.get(container) if held is not None else None

    def login(self, source: ImageSource) -> RegistryLogin | None:
        """The login that was fetched with the credentials of *source*; None where there is none.

        A pull is shared by all who ask for the same source, so it names no task.
        """
        parameter = source.registry.credentials_parameter if source.registry is not None else ""
        for held in self._tasks.values():
            if held.execution_credentials_id == source.credentials_id and parameter in held.values.logins:
                return held.values.logins[parameter]
        return None

    def settle(self, tasks: Iterable[Task]) -> None:
        """Drop the values of those *tasks* that have no use for them any more.

        A container that exists may still be made again: with other host ports, where those it had turned out to be
        taken when it was started. So values stay until every container runs, or has ended.
        """
        for task in tasks:
            if task.arn in self._tasks and _is_through(task):
                del self._tasks[task.arn]

    def follow(self, tasks: Iterable[Task], forgotten: Iterable[TaskArn] = ()) -> None:
        """Drop whatever has no use any more now that *tasks* are as they are, and others are *forgotten*."""
        changed = tuple(tasks)
        self.settle(changed)
        ended = (task.spec for task in changed if task.known is Status.STOPPED)
        self.forget(self._values if any(forgotten) else [one for spec in ended for one in spec.credentials_ids])

    def scrubbed(self, text: str, task: TaskArn) -> str:
        """*text* without the values of *task*."""
        held = self._tasks.get(task)
        return without(text, _private(held.values)) if held is not None else text

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} credentials, values of {len(self._tasks)} tasks)"


def ids_in_use(tasks: Iterable[Task]) -> list[str]:
    """The credentials ids of those *tasks* that have not ended: ECS has values for them."""
    return [one for task in tasks if task.known is not Status.STOPPED for one in task.spec.credentials_ids]


def ids_to_keep(tasks: Iterable[Task]) -> Iterator[str]:
    """The ids of *tasks* that may be asked for. Logs are written a little longer than a task lives."""
    for task in tasks:
        if task.known is not Status.STOPPED:
            yield task.spec.task_credentials_id
        yield task.spec.execution_credentials_id


def _renew_at(credentials: RoleCredentials, now: datetime) -> datetime | None:
    expires = credentials.expires_at
    return expires - min(SOON, max(expires - now, timedelta()) / SOON_SHARE) if expires is not None else None


def without(text: str, private: Iterable[str]) -> str:
    """*text* with three stars in place of each private value, the longest first: one may hold another."""
    for value in sorted({one for one in private if len(one) >= SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def words_of(login: RegistryLogin) -> tuple[str, ...]:
    """What of a login stands in no text."""
    return login.username, login.password, login.identity_token


def _is_through(task: Task) -> bool:
    return task.known is Status.STOPPED or all(one.known >= Status.RUNNING for one in task.containers)


def _private(values: TaskValues) -> Iterator[str]:
    for container in values.containers.values():
        yield from container.environment.values()
        yield from container.log_options.values()
        for file in container.files:
            yield from file.values()
    for login in values.logins.values():
        yield from words_of(login)
