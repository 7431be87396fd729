from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sockets.frames import (
    BINARY,
    CLOSE,
    COMPRESSED,
    PING,
    STRAY,
    TEXT,
    UNFINISHED,
    Broken,
    Frames,
    Message,
    PassedOver,
)

LIMIT = 300
TOO_LARGE = f"must have {LIMIT} octets at most"
OK = b"\x81\x02ok"


def frame(opcode: int, content: bytes = b"", *, final: bool = True, bits: int = 0) -> bytes:
    size = len(content)
    length = (
        bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)
    )
    return bytes([(0x80 if final else 0) | bits | opcode]) + length + content


def pieces(octets: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted(cuts):
        yield octets[at:cut]
        at = max(at, cut)
    yield octets[at:]


CASES = [
    (frame(TEXT), [Message(TEXT, b"")]),
    (frame(BINARY, b"x" * LIMIT), [Message(BINARY, b"x" * LIMIT)]),
    (frame(TEXT, b"x" * (LIMIT + 1)), [PassedOver(TOO_LARGE, LIMIT + 1)]),
    (frame(TEXT, b"x" * 70_000), [PassedOver(TOO_LARGE, 70_000)]),
    (
        frame(TEXT, b"x" * 200, final=False) + frame(0, b"y" * 101, final=False) + frame(0, b"z"),
        [PassedOver(TOO_LARGE, 302)],
    ),
    (
        frame(TEXT, b"one ", final=False) + frame(PING, b"?") + frame(0, b"", final=False) + frame(0, b"two"),
        [Message(PING, b"?"), Message(TEXT, b"one two")],
    ),
    (frame(TEXT, b"x", final=False) + frame(TEXT, b"new"), [PassedOver(UNFINISHED, 1), Message(TEXT, b"new")]),
    (frame(0, b"x", final=False) + frame(0, b"y"), [PassedOver(STRAY, 2)]),
    (frame(TEXT, b"\xcaH\x00", bits=0x40), [PassedOver(COMPRESSED, 3)]),
    (frame(TEXT, b"\xca", bits=0x40, final=False) + frame(0, b"H"), [PassedOver(COMPRESSED, 2)]),
    (frame(CLOSE, b"\x03\xe8bye"), [Message(CLOSE, b"\x03\xe8bye")]),
]


@pytest.mark.parametrize(("octets", "found"), CASES)
@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_messages_are_read_however_the_octets_come_in_and_the_next_one_too(
    octets: bytes, found: list[Message | PassedOver], cuts: list[int]
) -> None:
    frames = Frames(LIMIT)

    assert [one for piece in pieces(octets + OK, cuts) for one in frames.feed(piece)] == [*found, Message(TEXT, b"ok")]


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (frame(3), "there are no frames of kind 3"),
        (frame(15), "there are no frames of kind 15"),
        (b"\x81\x82\x00\x00\x00\x00ok", "a server's frames are not masked"),
        (frame(TEXT, bits=0x20), "bits are set that are reserved"),
        (frame(TEXT, bits=0x10), "bits are set that are reserved"),
        (frame(PING, bits=0x40), "a control frame is whole, plain and short"),
        (frame(PING, final=False), "a control frame is whole, plain and short"),
        (frame(PING, b"x" * 126), "a control frame is whole, plain and short"),
        (b"\x81\x7f" + b"\xff" * 8, "no frame is so long"),
    ],
)
def test_octets_that_are_no_frames_are_refused_by_the_rule(octets: bytes, rule: str) -> None:
    with pytest.raises(Broken, match=rule):
        Frames(LIMIT).feed(octets)


def test_nothing_is_held_of_a_message_that_is_passed_over() -> None:
    frames = Frames(LIMIT)
    frames.feed(b"\x81\x7f" + (1 << 40).to_bytes(8))
    for _ in range(100):
        frames.feed(b"x" * 1000)

    assert not frames._content


@given(st.binary(max_size=200))
def test_no_octets_whatever_break_more_than_the_connection(octets: bytes) -> None:
    try:
        found = Frames(LIMIT).feed(octets)
    except Broken:
        return
    assert all(isinstance(one, Message | PassedOver) for one in found)
