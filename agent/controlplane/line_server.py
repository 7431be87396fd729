"""An open WebSocket to an agent: the jobs that serve it, what goes in and out, and how it ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

WAIT_TO_SEND = 10.0
"""Seconds that an agent may take to read one message."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a frame: the largest of an agent's hold one mebibyte of metrics, and their headers."""


class SessionOver(Exception):
    """A session ends: with what close code, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Line:
    """One WebSocket. With *pings*, an agent that does not answer for so many seconds is taken for gone."""

    def __init__(self, pings: float | None = None) -> None:
        self._socket = web.WebSocketResponse(
            compress=False, heartbeat=pings, timeout=WAIT_TO_SEND, max_msg_size=LARGEST
        )
        self._over: asyncio.Future[SessionOver] = asyncio.get_running_loop().create_future()

    def end(self, code: int, reason: str) -> None:
        """End the session soon."""
        if not self._over.done():
            self._over.set_result(SessionOver(code, reason))

    async def serve(
        self, request: web.Request, *jobs: Callable[[], Coroutine[Any, Any, None]]
    ) -> tuple[web.WebSocketResponse, SessionOver]:
        """Open, run *jobs* until one of them raises SessionOver or somebody calls `end`, and close; and say why."""
        await self._socket.prepare(request)
        over = SessionOver(WSCloseCode.OK, "")
        try:
            async with asyncio.TaskGroup() as group:
                for job in (*jobs, self._wait_for_end):
                    group.create_task(job(), name=job.__qualname__)
        except* SessionOver as ends:
            [first, *_] = ends.exceptions
            assert isinstance(first, SessionOver)
            over = first
        finally:
            await self._socket.close(code=over.code, message=str(over).encode())
        return self._socket, over

    async def _wait_for_end(self) -> None:
        raise await self._over

    async def put(self, text: str) -> None:
        """Send *text*. Raises SessionOver where the agent does not take it."""
        try:
            async with asyncio.timeout(WAIT_TO_SEND):
                await self._socket.send_str(text)
        except (OSError, TimeoutError) as error:
            raise SessionOver(WSCloseCode.GOING_AWAY, f"cannot send: {type(error).__name__}") from error
        await asyncio.sleep(0)  # a send that need not wait gives nobody else a turn, and an agent may be owed thousands

    async def receive(self, patience: float | None) -> bytes:
        """What the agent says next. Raises SessionOver where it says no more, or nothing for *patience* seconds."""
        try:
            async with asyncio.timeout(patience):
                message = await self._socket.receive()
        except TimeoutError:
            raise SessionOver(WSCloseCode.GOING_AWAY, "the agent is silent") from None
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise SessionOver(*_farewell(message))
        said: str | bytes = message.data
        return said.encode() if isinstance(said, str) else said


def _farewell(message: WSMessage) -> tuple[int, str]:
    """How a session came to its end whose socket gives *message*: a broken one has been closed already."""
    if message.type is not WSMsgType.ERROR:
        return WSCloseCode.OK, "the agent closed the connection"
    if isinstance(message.data, WebSocketError):
        return message.data.code, f"the agent broke the protocol: {message.data}"
    return WSCloseCode.ABNORMAL_CLOSURE, f"the connection broke: {type(message.data).__name__}"
