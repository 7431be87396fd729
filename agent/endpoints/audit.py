"""The lines of the audit log: who asked for credentials, and who asked too often.

One line a request, its fields parted by single spaces, in the form that readers of the agent's audit log know
(version 2). No id is ever in it: paths are cut before the part that is as good as a password.
"""

from collections.abc import Callable
from datetime import UTC

from agent.endpoints.calls import Asked
from agent.endpoints.ports import AuditLog
from agent.model.clock import Clock
from agent.model.identity import Identity
from agent.model.names import TaskArn

VERSION = "2"
TASK_ROLE, EXECUTION_ROLE = "GetCredentials", "GetCredentialsExecutionRole"
NOTHING = "-"
TOO_MANY = 429
CUT = ("/v1/credentials", "/v2/credentials", "/v2/metadata", "/v2/stats", "/v3", "/v4", "/api")
"""Of paths that begin so the rest may be an id."""
LONGEST = 256
"""Of a text that a caller chooses."""


class Audit:
    """Notes what containers ask for. *owner* gives who we are."""

    def __init__(self, log: AuditLog, owner: Callable[[], Identity], clock: Clock) -> None:
        self._log = log
        self._owner = owner
        self._clock = clock

    def granted(self, asked: Asked, task: TaskArn, event: str) -> None:
        """Credentials of *task* were given."""
        owner = self._owner()
        tail = (event, VERSION, owner.cluster or NOTHING, owner.instance_arn or NOTHING)
        self._log.note(" ".join((*self._head(200, asked), task, *tail)))

    def refused(self, asked: Asked, status: int) -> None:
        """None were given: what they would have been for is not known. The task is the one that asked."""
        self._log.note(" ".join((*self._head(status, asked), asked.caller.task or NOTHING, "")))

    def limited(self, asked: Asked) -> None:
        """A request of whatever kind went beyond the limit."""
        self.refused(asked, TOO_MANY)

    def _head(self, status: int, asked: Asked) -> tuple[str, ...]:
        at = f"{self._clock().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        agent = _quoted(asked.headers.get("user-agent", ""))
        return at, str(status), asked.remote, _quoted(without_id(asked.path)), agent


def without_id(path: str) -> str:
    """*path* up to where an id may begin."""
    return next((head for head in CUT if path == head or path.startswith(f"{head}/")), path)


def _quoted(text: str) -> str:
    """*text* in double quotes, on one line whatever is in it."""
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST])
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
