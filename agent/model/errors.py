"""Errors sorted by what the caller will do.

::

    AgentError              anything we expect to go wrong
    ├── TryAgain            the same call may work later (a registry that is busy, a network that is down)
    │   └── NoAnswer        Docker did not answer a question, which says nothing of what was asked
    ├── OutcomeUnknown      the answer was lost: the call may or may not have happened
    ├── PortTaken           the host port is in use; another may be free
    ├── GiveUp              it will not work; the container stops with this reason
    ├── BadInput            a message or setting broke its contract; `path` says where
    ├── InactiveInstance    ECS has deregistered this container instance
    └── Fatal               the process cannot go on; `exit_code` tells the supervisor whether a restart may help
"""

from traceback import walk_tb


class AgentError(Exception):
    """Anything we expect to go wrong."""


class TryAgain(AgentError):
    """The same call may work later. `name` is the ECS word for the failure, where there is one."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


class NoAnswer(TryAgain):
    """Docker did not answer a question. That says nothing of what was asked, and is no failed try of it."""


class OutcomeUnknown(AgentError):
    """The answer was lost: the call may or may not have happened."""


class PortTaken(AgentError):
    """A host port is in use."""

    def __init__(self, port: int, text: str) -> None:
        super().__init__(text)
        self.port = port


class GiveUp(AgentError):
    """It will not work. `name` is the ECS word for the failure, such as ``CannotPullContainerError``."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name

    @property
    def reason(self) -> str:
        """The text that ECS shows: ``Name: text``."""
        return f"{self.name}: {self}"


class BadInput(AgentError):
    """A message or setting broke its contract."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(f"{path}: {rule}" if path else rule)
        self.path = path
        self.rule = rule


class InactiveInstance(AgentError):
    """ECS has deregistered this container instance. Its tasks go on; ECS is asked again after an hour."""


WORTH_A_RESTART = 1
NOT_WORTH_A_RESTART = 5


class Fatal(AgentError):
    """The process cannot go on. Carries the exit code: 1 is worth a restart, 5 needs somebody to change something."""

    def __init__(self, text: str, exit_code: int = WORTH_A_RESTART) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def place_of(bug: BaseException) -> str:
    """The kind of a bug and where it was met. Not its text, which may hold whatever the bug met: a password, say."""
    code, line = next(((f.f_code, line) for f, line in reversed(list(walk_tb(bug.__traceback__)))), (None, 0))
    return f"{type(bug).__name__} in {code.co_qualname}, line {line}" if code else type(bug).__name__
