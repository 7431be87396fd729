"""Where the running containers of tasks are: by which addresses they call, and which share the network of the host.

An entry says how a container stood when Docker was last asked. Whether it is still so, the first process of the
container says: as long as that lives, its addresses are its own. See callers_server.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.endpoints.calls import Caller, Known
from agent.model.names import DockerId, TaskArn
from agent.model.portrait import Portrait
from agent.model.status import Status
from agent.model.task import Task

HOST = "host"


@dataclass(frozen=True, slots=True)
class Entry:
    """One container, and where it is."""

    docker_id: DockerId
    pid: int
    addresses: tuple[str, ...] = ()
    in_host: bool = False
    """Does it share the network of the host?"""


def entry(portrait: Portrait) -> Entry:
    """What *portrait* says of where the container is."""
    in_host = portrait.network_mode == HOST
    return Entry(portrait.docker_id, portrait.pid, () if in_host else portrait.addresses, in_host)


@dataclass(frozen=True, slots=True)
class Place:
    """The row that a container has."""

    task: TaskArn
    container: str

    def caller(self, known: Known) -> Caller:
        """The container as one who calls."""
        return Caller(known, self.task, self.container)


class AddressBook:
    """The entries of those containers that rows say may run. One whose row is gone, or over, is struck out."""

    def __init__(self) -> None:
        self._entries: dict[DockerId, Entry] = {}
        self._places: dict[DockerId, Place] = {}

    def follow(self, tasks: Mapping[TaskArn, Task]) -> None:
        """Strike out whom *tasks* know no more, and know of those who are new."""
        self._places = dict(_may_run(tasks.values()))
        for gone in self._entries.keys() - self._places.keys():
            del self._entries[gone]

    def place(self, docker_id: DockerId) -> Place | None:
        """The row of a container that may run."""
        return self._places.get(docker_id)

    def unknown(self) -> tuple[DockerId, ...]:
        """The containers that may run and have no entry."""
        return tuple(one for one in self._places if one not in self._entries)

    def all(self) -> tuple[DockerId, ...]:
        """The containers that may run."""
        return tuple(self._places)

    def write(self, one: Entry) -> None:
        """Keep *one*, in place of what was. Who does not run has no entry."""
        if one.pid and one.docker_id in self._places:
            self._entries[one.docker_id] = one
        else:
            self.strike(one.docker_id)

    def strike(self, docker_id: DockerId) -> None:
        """Keep nothing of a container, until it is looked at again."""
        self._entries.pop(docker_id, None)

    def at(self, address: str) -> tuple[Entry, ...]:
        """Those who had *address* when they were looked at: an address may have passed from one to another."""
        return tuple(one for one in self._entries.values() if address in one.addresses)

    def in_host(self) -> tuple[Entry, ...]:
        """Those who share the network of the host."""
        return tuple(one for one in self._entries.values() if one.in_host)


def _may_run(tasks: Iterable[Task]) -> Iterator[tuple[DockerId, Place]]:
    """Also one whose start nobody has heard of yet: its first call may be quicker than Docker's answer to us."""
    for task in tasks:
        for container in task.containers:
            if container.docker_id and not container.removed and container.known is not Status.STOPPED:
                yield container.docker_id, Place(task.arn, container.name)
