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
"""Octets of a text that is taken apart; a larger one would keep everybody else waiting."""
LEVELS = 4
"""How far down the path of an error leads: ``containers[0].environment.MODE``."""
NAME_LIMIT = 64

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}:,"]', re.DOTALL)
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
    for token in _TOKEN.finditer(text):
        mark = token[0][:1] if len(token[0]) == 1 else b""
        if mark in (b"{", b"["):
            depth += 1
            begun = begun if depth > 1 else _beginning(text, token)
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                last = text[begun : token.start()].strip(_SPACE)
                if text[token.end() :].strip(_SPACE):
                    break
                return [*found, (name, last)] if last or name else found
        elif mark == b'"' or (mark and not depth):
            break
        elif depth == 1 and mark == b":":
            name, begun = text[begun : token.start()].strip(_SPACE), token.end()
        elif depth == 1 and mark == b",":
            found.append((name, text[begun : token.start()].strip(_SPACE)))
            name, begun = b"", token.end()
    raise BadInput("", "is not JSON")


def _beginning(text: bytes, token: re.Match[bytes]) -> int:
    if text[: token.start()].strip(_SPACE):
        raise BadInput("", "is not JSON")
    return token.end()


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
