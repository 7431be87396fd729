"""One WebSocket to a service of ECS: ACS or TCS.

What aiohttp leaves open is settled here: why a handshake was refused (its error hides the body, and ECS says there that
an instance is inactive), and whether the peer ended the connection in good order or it broke.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import aiohttp
import structlog
from aiohttp import WSCloseCode, WSMsgType
from yarl import URL

from agent.model.errors import AgentError, BadInput
from agent.sockets.reader_client import Socket

DIAL_TIMEOUT = 30.0
READ_DEADLINE = 180.0
WRITE_DEADLINE = 180.0
CLOSE_TIMEOUT = 30.0
"""Seconds that the peer has to answer our close frame. The reference waits without end."""
DROP_TIMEOUT = 5.0
BODY_LIMIT = 1024
"""Bytes of a refused handshake's body that are looked at, as in the reference."""
SWITCHING_PROTOCOLS = 101

CLEAN_CODES = frozenset({1000, 1001, 1011})
"""Close codes by which a server asks for another connection at once."""

log = structlog.get_logger()


class Caller(Protocol):
    """Who opens the connection."""

    @property
    def user_agent(self) -> str:
        """What it calls itself."""
        ...


class CannotConnect(AgentError):
    """There is no connection. The text holds the answer's body, where there was an answer, and `date` its date."""

    def __init__(self, why: str, *, date: str = "") -> None:
        super().__init__(why)
        self.date = date


class ConnectionEnded(AgentError):
    """The connection is over. `clean` if the peer ended it in good order: a code of `CLEAN_CODES`, or a bare FIN."""

    def __init__(self, why: str, *, clean: bool = False) -> None:
        super().__init__(why)
        self.clean = clean


class CannotSend(AgentError):
    """The message did not leave. Why the connection is over is for `receive` to say: the peer may have closed it."""


class Connection:
    """An open WebSocket. One job receives; any may send. Leave it with `drop`."""

    def __init__(
        self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, handshake: "_Handshake"
    ) -> None:
        self._session = session
        self._socket = socket
        self._transport = handshake.transport
        self._lost = handshake.lost
        self._closing: asyncio.Event | None = None
        self._unanswered = False

    async def receive(self) -> str | bytes:
        """The next message. Pings are answered on the way and do not count. Raises ConnectionEnded."""
        try:
            async with asyncio.timeout(READ_DEADLINE):
                message = await self._socket.receive()
        except TimeoutError:
            raise ConnectionEnded(f"nothing was read for {READ_DEADLINE:.0f} seconds") from None
        except (aiohttp.ClientError, OSError) as error:  # the answer to a ping did not leave
            raise ConnectionEnded(f"cannot answer a ping: {error}") from error
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            content: str | bytes = message.data
            return content
        if message.type is WSMsgType.CLOSE:
            await self._answer_close(int(message.data))
            raise closed_with(int(message.data), str(message.extra or ""))
        if message.type is WSMsgType.ERROR:
            raise ConnectionEnded(f"the protocol was broken: {message.data}")
        raise await self._end()

    async def send(self, text: str) -> None:
        """Send one text message. Raises CannotSend, and ConnectionEnded where the peer takes nothing any more."""
        try:
            async with asyncio.timeout(WRITE_DEADLINE):
                await self._socket.send_str(text)
        except TimeoutError:
            raise ConnectionEnded(f"nothing could be written for {WRITE_DEADLINE:.0f} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CannotSend(str(error)) from error

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame and wait, within bounds, for the peer's; `receive` then tells how that went.

        What arrives meanwhile is dropped: it cannot be acknowledged any more.
        """
        self._closing = asyncio.Event()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self._unanswered = True
        finally:
            self._closing.set()

    async def drop(self) -> None:
        """Close the TCP connection without a close frame."""
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()  # a peer that reads nothing would hold up an orderly end
        try:
            async with asyncio.timeout(DROP_TIMEOUT):
                await self._session.close()
                await self._socket.close()
        except TimeoutError:
            log.warning("socket_lingered", seconds=DROP_TIMEOUT)

    async def _answer_close(self, code: int) -> None:
        """Echo the close frame, if it had a code to echo; a frame without one is no clean end anyhow."""
        if not code:
            return
        try:
            async with asyncio.timeout(DROP_TIMEOUT):
                await self._socket.close(code=code)
        except TimeoutError:
            log.warning("socket_close_not_echoed", code=code)

    async def _end(self) -> ConnectionEnded:
        """Why aiohttp says no more than "closed": our own close, a FIN, or a connection that broke."""
        if self._closing is not None:
            await self._closing.wait()
            code = self._socket.close_code or 0
            if code != WSCloseCode.ABNORMAL_CLOSURE:
                return closed_with(code, "in answer to ours")
            if self._unanswered or isinstance(self._socket.exception(), TimeoutError):
                return ConnectionEnded("the peer did not answer our close")
        error = self._lost.exception() if self._lost is not None and self._lost.done() else None
        return ConnectionEnded(f"the connection broke: {error}") if error else ConnectionEnded("hung up", clean=True)


def closed_with(code: int, reason: str) -> ConnectionEnded:
    """What a close frame of the peer's means."""
    return ConnectionEnded(f"closed by the peer with {code or 'no code'} {reason}".rstrip(), clean=code in CLEAN_CODES)


def straight(_: str) -> aiohttp.BaseConnector:
    """The road to any URL that asks nobody on the way, and trusts whom the system trusts."""
    return aiohttp.TCPConnector()


async def dial(
    url: str,
    headers: Mapping[str, str],
    settings: Caller,
    *,
    road: Callable[[str], aiohttp.BaseConnector] = straight,
) -> Connection:
    """Open a WebSocket at *url* (http or https), with the signed *headers*, by its *road*. Raises CannotConnect."""
    handshake = _Handshake()
    try:
        connector = road(url)
    except BadInput as error:
        raise CannotConnect(f"cannot connect to {url.partition('?')[0]}: {error}") from error
    session = aiohttp.ClientSession(
        connector=connector,
        ws_response_class=Socket,
        middlewares=(handshake,),
        timeout=aiohttp.ClientTimeout(total=None),  # the handshake has its bound below, the connection has none
        skip_auto_headers=("Accept", "Accept-Encoding"),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": settings.user_agent},
    )
    try:
        async with asyncio.timeout(DIAL_TIMEOUT):
            socket = await session.ws_connect(
                URL(url, encoded=True),
                headers=dict(headers),
                autoclose=False,
            )
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        await session.close()
        why = f"cannot connect to {url.partition('?')[0]}: {type(error).__name__} {error}"
        raise CannotConnect(why, date=handshake.date) from error
    except BaseException:
        await session.close()
        raise
    return Connection(session, socket, handshake)


class _Handshake:
    """Watches the handshake: reads the body of a refusal, and holds on to what aiohttp hides of the connection."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport | None = None
        self.date = ""

    async def __call__(self, request: aiohttp.ClientRequest, call: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        answer = await call(request)
        if answer.status != SWITCHING_PROTOCOLS:
            self.date = answer.headers.get("Date", "")
            body = await _beginning(answer.content)
            answer.close()
            raise aiohttp.ClientError(f"the handshake was answered {answer.status}: {body.decode(errors='replace')}")
        connection = answer.connection
        if connection is not None and connection.protocol is not None:
            self.transport = connection.transport
            self.lost = connection.protocol.closed
        if self.lost is not None:
            # An end that nobody asks about is no accident, so the future must not complain that nobody asked.
            self.lost.add_done_callback(lambda lost: lost.cancelled() or lost.exception())
        return answer


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    try:
        return await content.readexactly(BODY_LIMIT)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
