"""JSON text that JSON's own rules forbid, taken apart as far as its brackets and quotation marks go.

One value of a message may be nested too deeply, hold octets that are no UTF-8, a number that is none, half a surrogate
pair; a strict reader then refuses the message whole. Here such a text is cut into its members, so that the others can
be read as ever, and the bad one be called by its name.
"""

import re
from collections.abc import Iterator

from agent.model.errors import BadInput
from agent.wire.reading import join, read

MOST = 256 * 1024
MOST_MARKS = 20_000
"""Octets, and marks between values, of a text that is taken apart; more would keep everybody else waiting."""
LEVELS = 4
"""How far down the path of an error leads: ``containers[0].environment.MODE``."""
NAME_LIMIT = 64

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]++|[\]}]++|[:,"]', re.DOTALL)
_SPACE = b" \t\r\n"


def octets(text: bytes | str) -> bytes:
    """*text* as it came over the wire. Raises BadInput for what cannot have come so."""
    try:
        return text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise BadInput("", "is not UTF-8") from None


def members(text: bytes) -> list[tuple[bytes, bytes]]:
    """The members of an object, each with its name in quotation marks, or those of a list, each with an empty name.

    Raises BadInput where *text* is neither, or its brackets do not end where it does.
    """
    if len(text) > MOST:
        raise BadInput("", "is too large")
    found: list[tuple[bytes, bytes]] = []
    depth, begun, name = 0, 0, b""
    for count, token in enumerate(_TOKEN.finditer(text)):
        mark, at = token[0][:1], token.start()
        if count > MOST_MARKS or (mark == b'"' and len(token[0]) == 1):
            break
        if mark in (b"{", b"["):
            begun = begun if depth else _beginning(text, at)
            depth += len(token[0])
        elif mark in (b"}", b"]"):
            depth -= len(token[0])
            if depth <= 0:
                return _with_last(found, name, text[begun : token.end() - 1], text[token.end() :], clean=not depth)
        elif not depth:
            break
        elif depth == 1 and mark == b":":
            name, begun = text[begun:at].strip(_SPACE), at + 1
        elif depth == 1 and mark == b",":
            found.append((name, text[begun:at].strip(_SPACE)))
            name, begun = b"", at + 1
    raise BadInput("", "is not JSON")


def _with_last(
    found: list[tuple[bytes, bytes]], name: bytes, last: bytes, rest: bytes, *, clean: bool
) -> list[tuple[bytes, bytes]]:
    if not clean or rest.strip(_SPACE):
        raise BadInput("", "is not JSON")
    last = last.strip(_SPACE)
    return [*found, (name, last)] if last or name else found


def _beginning(text: bytes, at: int) -> int:
    if text[:at].strip(_SPACE):
        raise BadInput("", "is not JSON")
    return at + 1


def blamed(text: bytes, error: BadInput) -> BadInput:
    """*error*, which *text* caused as a whole, said of that part of it which is to blame."""
    path, rule = "", str(error)
    for _ in range(LEVELS):
        try:
            name, text, rule = next(_bad_ones(text))
        except (StopIteration, BadInput):
            break
        path = join(path, name)
    return BadInput(path, rule)


def _bad_ones(text: bytes) -> Iterator[tuple[str, bytes, str]]:
    for at, (name, value) in enumerate(members(text)):
        try:
            called = read(name, str)[:NAME_LIMIT] if name else f"[{at}]"
        except BadInput as bad:
            yield f"[{at}]", b"", f"has a name that {bad}"
            continue
        try:
            read(value, object)
        except BadInput as bad:
            yield called, value, str(bad)
