"""What the ACS session is told at the start, and the address that follows from it."""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from agent.model.errors import BadInput

PROTOCOL_VERSION = "2"
"""Tells ECS that heartbeats are answered, and that it may hang up on an agent that does not."""


@dataclass(frozen=True, slots=True)
class AcsSettings:
    """Who opens the session. Fixed for the life of the process."""

    cluster: str
    """As configured: a name or an ARN."""
    instance_arn: str
    agent_version: str
    agent_hash: str
    docker_version: str = ""
    """Empty where Docker did not tell."""
    user_agent: str = "dockworker"


def session_url(endpoint: str, settings: AcsSettings, *, send_credentials: bool) -> str:
    """The http(s) URL of the session ("wire protocol", URL and query): sorted keys, encoded as a form.

    Raises BadInput where *endpoint* is no http(s) URL.
    """
    if not _is_http(endpoint):
        raise BadInput("endpoint", "must be a URL that begins with http:// or https://")
    query = {
        "agentHash": settings.agent_hash,
        "agentVersion": settings.agent_version,
        "clusterArn": settings.cluster,
        "containerInstanceArn": settings.instance_arn,
        "dockerVersion": f"DockerVersion: {settings.docker_version}",
        "protocolVersion": PROTOCOL_VERSION,
        "sendCredentials": "true" if send_credentials else "false",
        "seqNum": "1",
    }
    if not settings.docker_version:
        del query["dockerVersion"]
    return f"{endpoint.rstrip('/')}/ws?{urlencode(query)}"


def _is_http(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        return False
