"""Who opens a telemetry session, and the address that follows from it."""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from agent.model.errors import BadInput


@dataclass(frozen=True, slots=True)
class TcsSettings:
    """Who opens the session. The instance is another one after it was let go and registered anew."""

    cluster: str
    """As configured: a name or an ARN."""
    instance_arn: str
    agent_version: str
    agent_hash: str
    docker_version: str = ""
    """Empty where Docker did not tell."""
    user_agent: str = "dockworker"


def session_url(endpoint: str, settings: TcsSettings) -> str:
    """The http(s) URL of the session ("wire protocol", TCS): sorted keys, encoded as a form.

    Unlike that of ACS it says nothing of credentials or a protocol, and names cluster and instance otherwise. Raises
    BadInput where *endpoint* is no http(s) URL.
    """
    if not _is_http(endpoint):
        raise BadInput("telemetryEndpoint", "must be a URL that begins with http:// or https://")
    query = {
        "agentHash": settings.agent_hash,
        "agentVersion": settings.agent_version,
        "cluster": settings.cluster,
        "containerInstance": settings.instance_arn,
        "dockerVersion": settings.docker_version,
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
