"""Which HTTP proxy a URL is reached through, by the variables that everybody knows.

``HTTPS_PROXY`` serves https (and wss) and falls back to ``HTTP_PROXY``; lower case wins, as in curl. ``NO_PROXY``
lists hosts, ``.suffix``, ``*.suffix``, addresses, networks and ``*``, each with or without a port. Loopback and the
link-local addresses of instance metadata and task credentials are never proxied.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

NEVER_PROXIED = ("169.254.169.254", "169.254.170.2", "fd00:ec2::254")
SECURE = {"https": 443, "wss": 443}
PLAIN = {"http": 80, "ws": 80}


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL, or None to go straight."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if not host or _is_ours(host) or _is_exempt(host, _port(parts), _said(environ, "no_proxy")):
        return None
    secure = _said(environ, "https_proxy") if parts.scheme in SECURE else ""
    proxy = secure or _said(environ, "http_proxy")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Does *host*, a name or an address, mean this machine without asking a name server?"""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_ours(host: str) -> bool:
    return is_loopback(host) or host in NEVER_PROXIED


def _port(parts: SplitResult) -> int:
    return parts.port or {**SECURE, **PLAIN}.get(parts.scheme, 0)


def _said(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _is_exempt(host: str, port: int, rules: str) -> bool:
    return any(_matches(rule.strip().lower(), host, port) for rule in rules.split(",") if rule.strip())


def _matches(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        pass  # a name on either side, or a port in the rule
    name, colon, number = rule.rpartition(":")
    if colon and number.isdigit() and (name.count(":") == 0 or name.endswith("]")):
        if int(number) != port:
            return False
        rule = name
    rule = rule.strip("[]").removeprefix("*").removeprefix(".")
    return host == rule or host.endswith(f".{rule}")
