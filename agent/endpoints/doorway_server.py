"""The HTTP library, kept within bounds: connections, the size of requests, and what it writes into logs."""

import asyncio
import logging
import socket
import struct
from asyncio.trsock import TransportSocket
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

MOST_BODY = 64 << 10
MOST_CONNECTIONS = 1024
MOST_OF_ONE = 256
"""Connections at a time, and those of one address among them. More are closed at once."""
UNREAD = 10_000
"""Milliseconds for which the kernel keeps what a client does not read."""

_silent = logging.getLogger("agent.endpoints.http")
_silent.disabled = True
"""The library writes what it could not read into its log, and there may be ids in it."""


class Doorway(web.Server):
    """Hands the requests of so many connections to *serve*, and closes one that is idle for *patience* seconds."""

    def __init__(self, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], patience: float) -> None:
        super().__init__(
            serve,
            access_log=None,
            logger=_silent,
            keepalive_timeout=patience,
            lingering_time=0,
            auto_decompress=False,
        )
        self._of: dict[RequestHandler, str] = {}
        self._by_address: Counter[str] = Counter()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Let it in, or not."""
        super().connection_made(handler, transport)
        (address, _), _ = ends(transport)
        if isinstance(line := transport.get_extra_info("socket"), TransportSocket):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)
        self._of[handler] = address
        self._by_address[address] += 1
        if len(self._of) > MOST_CONNECTIONS or self._by_address[address] > MOST_OF_ONE:
            asyncio.get_running_loop().call_soon(cut, transport)  # the library is not ready to lose it yet

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Make room for another."""
        super().connection_lost(handler, exc)
        if (address := self._of.pop(handler, None)) is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


def cut(transport: asyncio.Transport) -> None:
    """Close a connection at once: the kernel, too, drops what was not read."""
    if isinstance(line := transport.get_extra_info("socket"), TransportSocket):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def ends(transport: asyncio.Transport) -> tuple[tuple[str, int], tuple[str, int]]:
    """Both ends of a connection, as the server sees them: the peer's and its own. Empty where it is gone already."""
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return _end(peer), _end(own)


def _end(name: object) -> tuple[str, int]:
    if not isinstance(name, tuple):
        return "", 0
    address = str(name[0]).partition("%")[0]
    mapped = address.removeprefix("::ffff:")
    return (mapped if "." in mapped else address), int(name[1])


async def read_body(request: web.BaseRequest) -> bytes | None:
    """The body of a request; None for one that is too long."""
    if (request.content_length or 0) > MOST_BODY:
        return None
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MOST_BODY:
            return None
    return body
