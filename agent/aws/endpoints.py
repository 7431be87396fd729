"""Where the ECS API is, and what we call ourselves there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from agent.model.errors import BadInput

REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ANY_SERVICE = "AWS_ENDPOINT_URL"
IGNORED = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"


def explicit_endpoint(backend_host: str) -> str:
    """The base URL that ``ECS_BACKEND_HOST`` means: a bare host is spoken to over https."""
    url = backend_host.strip()
    if "://" not in url:
        url = f"https://{url}"
    return _checked("ECS_BACKEND_HOST", url, "must be a host, or a URL that begins with http:// or https://")


def configured_endpoint(service: str, environ: Mapping[str, str]) -> str:
    """The base URL that AWS's own clients are told to use for *service*; empty where they are told nothing.

    The variable of the service beats the one for all of them. Raises BadInput.
    """
    if environ.get(IGNORED, "").lower() == "true":
        return ""
    for name in (f"{ANY_SERVICE}_{service.upper()}", ANY_SERVICE):
        if url := environ.get(name, "").strip():
            return _checked(name, url, "must be a URL that begins with http:// or https://")
    return ""


def is_http_url(url: str) -> bool:
    """Is *url* one that an HTTP or WebSocket connection can be opened to?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port that is no number
        return False


def regional_endpoint(
    region: str,
    partitions: Sequence[Mapping[str, Any]],
    *,
    service: str = "ecs",
    fips: bool = False,
    dualstack: bool = False,
) -> str:
    """Amazon's endpoint for *region*. *partitions* is botocore's table; a region it does not know is taken for aws.

    *fips* asks for the one that keeps to the standards of the US government, *dualstack* for the one that answers over
    IPv6 too; every partition that the table knows has both.
    """
    if not REGION.fullmatch(region):
        raise BadInput("AWS_DEFAULT_REGION", f"{region!r} is not the name of a region")
    outputs = _outputs(region, partitions)
    suffix = outputs["dualStackDnsSuffix" if dualstack else "dnsSuffix"]
    return f"https://{service}{'-fips' if fips else ''}.{region}.{suffix}"


def dns_suffix(region: str, partitions: Sequence[Mapping[str, Any]]) -> str:
    """The end of the names of all endpoints in *region*, such as ``amazonaws.com``."""
    return str(_outputs(region, partitions)["dnsSuffix"])


def user_agent(agent_version: str, agent_hash: str, own_version: str, detailed_os: str = "") -> str:
    """What the ``User-Agent`` header says.

    It begins as ECS's own agent's does, because the version reaches ECS nowhere else before ACS opens; our own name
    follows at the end, where services look at nothing and people who read access logs can see who called.
    """
    version = f"Amazon ECS Agent - v{agent_version} (*{agent_hash})"
    fits_a_header = detailed_os.isascii() and detailed_os.isprintable()
    system = f"linux; {detailed_os}" if detailed_os and fits_a_header else "linux"
    return f"{version} ({system}) (+http://aws.amazon.com/ecs/) dockworker/{own_version}"


def _checked(name: str, url: str, rule: str) -> str:
    if not is_http_url(url) or "@" in url:
        raise BadInput(name, rule)
    return url.rstrip("/")


def _outputs(region: str, partitions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    mine = next((p for p in partitions if region in p["regions"] or re.fullmatch(p["regionRegex"], region)), None)
    outputs: Mapping[str, Any] = (mine or partitions[0])["outputs"]
    return outputs
