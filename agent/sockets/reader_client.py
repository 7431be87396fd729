"""Puts our reading of frames (frames.py) in the place of aiohttp's own."""

import struct
from typing import Any

import aiohttp
import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType

from agent.sockets.frames import BINARY, CLOSE, PING, TEXT, Broken, Frames, Message, PassedOver

MESSAGE_LIMIT = 8 * 1024 * 1024
"""Octets of one message. The reference has no limit; a payload is a few KiB, and JSON grows when it is read."""

log = structlog.get_logger()


class Reader:
    """What aiohttp feeds with what it receives; messages go to *queue*, from which aiohttp answers and closes."""

    def __init__(self, queue: Any) -> None:  # noqa: ANN401 -- a type that aiohttp keeps to itself
        self._queue = queue
        self._frames = Frames(MESSAGE_LIMIT)

    def feed_data(self, octets: bytes) -> tuple[bool, bytes]:
        """Take octets in. True where they are no frames: nothing is fed after that."""
        try:
            for found in self._frames.feed(bytes(octets)):
                if isinstance(found, PassedOver):
                    log.warning("socket_frame_dropped", error=found.rule, size=found.size)
                else:
                    self._queue.feed_data(_message(found), len(found.content))
        except Broken as error:
            self._queue.set_exception(aiohttp.WebSocketError(WSCloseCode.PROTOCOL_ERROR, str(error)))
            return True, b""
        return False, b""

    def feed_eof(self) -> None:
        """Nothing more comes."""
        self._queue.feed_eof()


class Socket(aiohttp.ClientWebSocketResponse):
    """A WebSocket that is read by `Reader`.

    aiohttp makes a parser of its own, keeps it here and hands on what it finds here; so it finds ours.
    """

    _ours: Reader | None = None

    @property  # type: ignore[override]  # aiohttp keeps a plain attribute here
    def _parser(self) -> Reader | None:
        return self._ours

    @_parser.setter
    def _parser(self, theirs: object) -> None:
        self._ours = Reader(self._reader) if theirs is not None else None


def _message(found: Message) -> WSMessage:
    """*found* in aiohttp's words. A text that is no UTF-8 goes on as the octets that it is."""
    if found.opcode == TEXT:
        try:
            return WSMessage(WSMsgType.TEXT, found.content.decode(), "")
        except UnicodeDecodeError:
            return WSMessage(WSMsgType.BINARY, found.content, "")
    if found.opcode == CLOSE:
        return _close(found.content)
    kind = {BINARY: WSMsgType.BINARY, PING: WSMsgType.PING}.get(found.opcode, WSMsgType.PONG)
    return WSMessage(kind, found.content, "")


def _close(content: bytes) -> WSMessage:
    """A close frame; 0 stands for a code that is not there."""
    if len(content) < 2:  # noqa: PLR2004 -- the two octets of a code
        return WSMessage(WSMsgType.CLOSE, 0, "")
    (code,) = struct.unpack("!H", content[:2])
    return WSMessage(WSMsgType.CLOSE, code, content[2:].decode(errors="replace"))
