"""By which road a host is reached: straight or through a proxy, and whose certificate is believed at its end.

Calls that are not encrypted go through an HTTP proxy as every client sends them, all else through a tunnel (CONNECT):
also a WebSocket that is not encrypted, for few proxies let a request turn into something else. A SOCKS5 proxy is always
a tunnel, and it is the proxy that looks up names. (aiohttp makes tunnels too, and tells their password when they fail.)
"""

import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from aiohttp_socks import ProxyConnectionError as NoProxy
from aiohttp_socks import ProxyConnector, ProxyError, ProxyType
from aiohttp_socks import ProxyTimeoutError as SilentProxy

from agent.config.proxies import proxy_for
from agent.model.errors import BadInput

TUNNELS = {
    "http": (ProxyType.HTTP, 80),
    "https": (ProxyType.HTTP, 443),
    "socks5": (ProxyType.SOCKS5, 1080),
    "socks5h": (ProxyType.SOCKS5, 1080),
}
"""What kinds of proxies there are, and their usual ports."""
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


class Roads:
    """Knows the proxies and the trusted authorities. Variables are read at each connection, as the reference does."""

    def __init__(self, trust: ssl.SSLContext | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._ssl: ssl.SSLContext | bool = trust if trust is not None else True
        self._trust = trust
        self._environ = environ

    def to_call(self, url: str) -> tuple[aiohttp.TCPConnector, str | None]:
        """A connector for HTTP calls to *url*, and the proxy that each of them has to name. Raises BadInput."""
        proxy = proxy_for(url, self._environ)
        is_asked_in_the_open = urlsplit(url).scheme == "http"
        if proxy is None or (is_asked_in_the_open and self._parts(proxy).scheme in ("http", "https")):
            return aiohttp.TCPConnector(ssl=self._ssl), proxy
        return self._tunnel(proxy), None

    def to_socket(self, url: str) -> aiohttp.TCPConnector:
        """A connector for a WebSocket at *url* (http or https). Raises BadInput."""
        proxy = proxy_for(url, self._environ)
        return aiohttp.TCPConnector(ssl=self._ssl) if proxy is None else self._tunnel(proxy)

    def check(self) -> None:
        """Raises BadInput where a proxy is of no kind that we know. Better before the first call than at each one."""
        for url in ("https://ecs.example", "http://ecs.example"):
            if (proxy := proxy_for(url, {**self._environ, "NO_PROXY": "", "no_proxy": ""})) is not None:
                self._parts(proxy)

    def _parts(self, proxy: str) -> SplitResult:
        try:
            parts = urlsplit(proxy)
            if parts.scheme in TUNNELS and parts.hostname and parts.port != 0:
                return parts
        except ValueError:  # brackets without an address, a port that is no number
            pass
        raise BadInput(_said_in(self._environ, proxy), "must be an http, https or socks5 URL with a host")

    def _tunnel(self, proxy: str) -> "Tunnel":
        parts = self._parts(proxy)
        kind, port = TUNNELS[parts.scheme]
        return Tunnel(
            parts.hostname or "",
            parts.port or port,
            proxy_type=kind,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            rdns=True,
            proxy_ssl=(self._trust or ssl.create_default_context()) if parts.scheme == "https" else None,
            ssl=self._ssl,
        )


class Tunnel(ProxyConnector):
    """Connections through a proxy, with its failures told in the words of aiohttp."""

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as inherited
        try:
            return await super()._wrap_create_connection(*args, **kwargs)
        except (ProxyError, NoProxy, SilentProxy) as error:
            raise aiohttp.ClientConnectionError(f"the proxy does not let us through: {error}") from error


def _said_in(environ: Mapping[str, str], proxy: str) -> str:
    """The variable that named *proxy*: its value may hold a password, and is not told."""
    said = {proxy, proxy.removeprefix("http://")} - {""}
    return next((name for name in PROXY_VARIABLES if environ.get(name, "").strip() in said), PROXY_VARIABLES[0])
