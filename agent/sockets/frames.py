"""Octets into the messages of a WebSocket, for a client that nothing costs its connection that can be told apart.

The standard (RFC 6455) lets a client give a connection up for a text that is no UTF-8, a message that is too large or
compressed unasked; then one bad message would take with it every good one that is on its way. Here such a message is
passed over and called by its name, and none is ever held that is larger than the limit. What breaks the frames
themselves, so that nobody knows where the next one begins, ends the connection.
"""

from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
DATA, CONTROL = frozenset({CONTINUATION, TEXT, BINARY}), frozenset({CLOSE, PING, PONG})
LONGEST_CONTROL = 125
TWO_MORE, EIGHT_MORE = 126, 127
"""Words in place of a length: the length follows, in so many octets."""
LONGEST = 2**63 - 1

COMPRESSED = "is compressed, which was not agreed upon"
STRAY = "continues a message that was never begun"
UNFINISHED = "was not finished before the next one began"


class Broken(Exception):
    """These octets are no frames."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame."""

    opcode: int
    content: bytes


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A message that nobody gets to see: the rule that it breaks, and how many octets of it there were."""

    rule: str
    size: int


class Frames:
    """Reads frames as they come in, whole or in pieces. A message may have *limit* octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._in_frame = False
        self._left = 0
        self._final = False
        self._opcode = TEXT
        self._control = bytearray()
        self._kind = CONTINUATION
        """What the data message that is on its way is; CONTINUATION while there is none."""
        self._content = bytearray()
        self._size = 0
        self._rule = ""

    def feed(self, octets: bytes) -> list[Message | PassedOver]:
        """The messages that are complete with *octets*. Raises Broken."""
        found: list[Message | PassedOver] = []
        at = 0
        while True:
            if not self._in_frame:
                at = self._read_head(octets, at, found)
                if not self._in_frame:
                    return found
            piece = octets[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            self._take(piece)
            if self._left:
                return found
            self._in_frame = False
            self._end_frame(found)

    def _read_head(self, octets: bytes, at: int, found: list[Message | PassedOver]) -> int:
        """Complete a frame's head, if its octets are there; gives where they end."""
        while True:
            missing = _head_size(self._head) - len(self._head)
            if not missing:
                break
            piece = octets[at : at + missing]
            if not piece:
                return at
            self._head += piece
            at += len(piece)
        self._begin_frame(bytes(self._head), found)
        self._head.clear()
        return at

    def _begin_frame(self, head: bytes, found: list[Message | PassedOver]) -> None:
        self._final, reserved, opcode = bool(head[0] & 0x80), head[0] & 0x70, head[0] & 0x0F
        length = int.from_bytes(head[2:]) if len(head) > 2 else head[1] & 0x7F  # noqa: PLR2004 -- the short form
        if opcode not in DATA | CONTROL:
            raise Broken(f"there are no frames of kind {opcode}")
        if head[1] & 0x80:
            raise Broken("a server's frames are not masked")
        if length > LONGEST:
            raise Broken("no frame is so long")
        if opcode in CONTROL and (not self._final or length > LONGEST_CONTROL or reserved):
            raise Broken("a control frame is whole, plain and short")
        if reserved & 0x30:
            raise Broken("bits are set that are reserved")
        self._in_frame, self._left, self._opcode = True, length, opcode
        if opcode in DATA:
            self._begin_data(opcode, length, compressed=bool(reserved), found=found)

    def _begin_data(self, opcode: int, length: int, *, compressed: bool, found: list[Message | PassedOver]) -> None:
        if CONTINUATION not in (opcode, self._kind):
            found.append(PassedOver(self._rule or UNFINISHED, self._size))
            self._forget_message()
        if opcode == CONTINUATION and self._kind == CONTINUATION:
            self._kind, self._rule = BINARY, self._rule or STRAY
        elif opcode != CONTINUATION:
            self._kind = opcode
        if compressed:
            self._rule = self._rule or COMPRESSED
        self._size += length
        if self._size > self._limit:
            self._rule = self._rule or f"must have {self._limit} octets at most"
        if self._rule:
            self._content.clear()

    def _take(self, piece: bytes) -> None:
        if self._opcode in CONTROL:
            self._control += piece
        elif not self._rule:
            self._content += piece

    def _end_frame(self, found: list[Message | PassedOver]) -> None:
        if self._opcode in CONTROL:
            found.append(Message(self._opcode, bytes(self._control)))
            self._control.clear()
        elif self._final:
            whole = PassedOver(self._rule, self._size) if self._rule else Message(self._kind, bytes(self._content))
            found.append(whole)
            self._forget_message()

    def _forget_message(self) -> None:
        self._kind, self._content, self._size, self._rule = CONTINUATION, bytearray(), 0, ""


def _head_size(head: bytearray) -> int:
    """How many octets a frame's head has, as far as it is known."""
    if len(head) < 2:  # noqa: PLR2004 -- the two octets that every head has
        return 2
    return 2 + {TWO_MORE: 2, EIGHT_MORE: 8}.get(head[1] & 0x7F, 0)
