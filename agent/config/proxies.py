"""Which proxy a URL is reached through, by the variables that everybody knows.

``HTTPS_PROXY`` serves https (and wss) and falls back to ``HTTP_PROXY``; upper case wins, as for programs written in
Go. ``NO_PROXY`` lists hosts with all below them, ``.suffix`` and ``*.suffix`` for what is below alone, addresses,
networks and ``*``, each with or without a port. Loopback and the link-local addresses of instance metadata and task
credentials are never proxied.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

NEVER_PROXIED = ("169.254.169.254", "169.254.170.2", "fd00:ec2::254")
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
SECURE = {"https": 443, "wss": 443}
PLAIN = {"http": 80, "ws": 80}


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL, or None to go straight."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if not host or _is_ours(host) or _is_exempt(host, _port(parts), _said(environ, "NO_PROXY")):
        return None
    return _proxy(environ, parts.scheme) or None


def completed(environ: Mapping[str, str], docker_host: str, imds_endpoint: str = "") -> dict[str, str]:
    """The variables to set so that whoever else reads them goes the way that we go; none where there is no proxy.

    botocore and programs that hand out keys know neither the fallback to ``HTTP_PROXY`` nor what is never proxied. Both
    spellings of each name are set, for everybody has a favourite. What Docker is reached by is exempt too.
    """
    secure, plain = _proxy(environ, "https"), _proxy(environ, "http")
    if not secure and not plain:
        return {}
    rules = [rule.strip() for rule in _said(environ, "NO_PROXY").split(",") if rule.strip()]
    if "*" not in rules:
        wanted = (*NEVER_PROXIED, *THIS_MACHINE, _host_or_path(docker_host), urlsplit(imds_endpoint).hostname or "")
        rules += [each for name in wanted for each in _spellings(name) if each not in rules]
    values = {"HTTPS_PROXY": secure, "HTTP_PROXY": plain, "NO_PROXY": ",".join(rules)}
    return {spelling: value for name, value in values.items() if value for spelling in (name, name.lower())}


def is_loopback(host: str) -> bool:
    """Does *host*, a name or an address, mean this machine without asking a name server?"""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _proxy(environ: Mapping[str, str], scheme: str) -> str:
    secure = _said(environ, "HTTPS_PROXY") if scheme in SECURE else ""
    proxy = secure or _said(environ, "HTTP_PROXY")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _host_or_path(docker_host: str) -> str:
    parts = urlsplit(docker_host)
    return parts.hostname or parts.path


def _spellings(name: str) -> Iterable[str]:
    """*name* as rules write it: there are programs that know an IPv6 address only in brackets."""
    if not name:
        return ()
    return (name, f"[{name}]") if name.count(":") > 1 else (name,)


def _is_ours(host: str) -> bool:
    return is_loopback(host) or host in NEVER_PROXIED


def _port(parts: SplitResult) -> int:
    return parts.port or {**SECURE, **PLAIN}.get(parts.scheme, 0)


def _said(environ: Mapping[str, str], name: str) -> str:
    """What the variable says. Under CGI, a header of a request would become ``HTTP_PROXY``: there it says nothing."""
    upper = "" if name == "HTTP_PROXY" and environ.get("REQUEST_METHOD") else environ.get(name)
    return (upper or environ.get(name.lower()) or "").strip()


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
    rule = rule.strip("[]").removeprefix("*")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
