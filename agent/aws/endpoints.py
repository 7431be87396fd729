"""Where the ECS API is, and what we call ourselves there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from agent.model.errors import BadInput

REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def explicit_endpoint(backend_host: str) -> str:
    """The base URL that ``ECS_BACKEND_HOST`` means: a bare host is spoken to over https."""
    url = backend_host.strip()
    if "://" not in url:
        url = f"https://{url}"
    if not is_http_url(url) or "@" in url:
        raise BadInput("ECS_BACKEND_HOST", "must be a host, or a URL that begins with http:// or https://")
    return url.rstrip("/")


def is_http_url(url: str) -> bool:
    """Is *url* one that an HTTP or WebSocket connection can be opened to?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port that is no number
        return False


def regional_endpoint(region: str, partitions: Sequence[Mapping[str, Any]]) -> str:
    """Amazon's endpoint for *region*. *partitions* is botocore's table; a region it does not know is taken for aws."""
    if not REGION.fullmatch(region):
        raise BadInput("AWS_DEFAULT_REGION", f"{region!r} is not the name of a region")
    return f"https://ecs.{region}.{dns_suffix(region, partitions)}"


def dns_suffix(region: str, partitions: Sequence[Mapping[str, Any]]) -> str:
    """The end of the names of all endpoints in *region*, such as ``amazonaws.com``."""
    mine = next((p for p in partitions if region in p["regions"] or re.fullmatch(p["regionRegex"], region)), None)
    return str((mine or partitions[0])["outputs"]["dnsSuffix"])


def user_agent(agent_version: str, agent_hash: str, own_version: str) -> str:
    """What the ``User-Agent`` header says.

    It begins as ECS's own agent's does, because the version reaches ECS nowhere else before ACS opens; our own name
    follows at the end, where services look at nothing and people who read access logs can see who called.
    """
    version = f"Amazon ECS Agent - v{agent_version} (*{agent_hash})"
    return f"{version} (linux) (+http://aws.amazon.com/ecs/) dockworker/{own_version}"
