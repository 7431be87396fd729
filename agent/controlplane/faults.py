"""Errors of the ECS API: what a caller did wrong, in the words that Amazon ECS uses."""

from agent.controlplane.records import JsonObject
from agent.model.errors import AgentError

BAD_REQUEST = 400
FORBIDDEN = 403
SERVER_ERROR = 500


class Fault(AgentError):
    """An API error: `code` is its class on the wire, `more` its members besides the message."""

    def __init__(self, code: str, message: str, status: int = BAD_REQUEST, more: JsonObject | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.more = more or {}

    @property
    def body(self) -> JsonObject:
        """The JSON object that tells the caller."""
        return {"__type": self.code, "message": str(self), **self.more}


def invalid(message: str) -> Fault:
    """A parameter of the call is bad, or names nothing of its kind."""
    return Fault("InvalidParameterException", message)


def client(message: str) -> Fault:
    """The body of a task definition is bad, or the caller cannot act on this state."""
    return Fault("ClientException", message)


def unsupported(what: str) -> Fault:
    """The request asks for something that this control plane does not do, and must not silently leave out."""
    return Fault("ClientException", f"Dockworker does not support {what} yet")


def cluster_not_found(message: str = "Cluster not found.") -> Fault:
    """No such cluster."""
    return Fault("ClusterNotFoundException", message)


def server(message: str) -> Fault:
    """Ours, not the caller's: the call may be tried again."""
    return Fault("ServerException", message, SERVER_ERROR)


def forbidden(code: str, message: str) -> Fault:
    """The caller is not who it says, or says nothing."""
    return Fault(code, message, FORBIDDEN)
