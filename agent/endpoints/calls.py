"""One request of a container, and the answer to it, apart from HTTP's machinery."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from agent.model.names import TaskArn

JSON = "application/json"


class Known(StrEnum):
    """How it is known who calls."""

    ADDRESS = "address"
    """By the address of the container, which no other has."""
    SOCKET = "socket"
    """By the process that holds the other end of the connection, for containers in the network of the host."""
    HOST = "host"
    """No container: a process of the host itself, such as Docker's daemon."""
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Task and container are empty unless it is a container of a task that is known here."""

    known: Known = Known.NOBODY
    task: TaskArn = TaskArn("")  # noqa: RUF009 -- a NewType call is the value itself
    container: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. The path is decoded and clean: one slash between two parts, and at its beginning."""

    method: str
    path: str = field(repr=False)
    """Holds ids that are as good as passwords."""
    remote: str
    """``address:port`` of the caller."""
    caller: Caller = Caller()
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By lower-case name."""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Desk(Protocol):
    """Answers some of the paths."""

    async def answer(self, asked: Asked) -> Answer | None:
        """The answer; None for a path that is another's. Whether *asked* may know is for the desk to say."""
        ...
