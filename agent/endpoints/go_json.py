"""JSON as Go writes it, byte by byte: what reads our answers was written against an agent in Go.

Compact, keys in the order they come in (a map of Go's is sorted by whoever makes it), numbers without decimals where
they need none, and ``<``, ``>`` and ``&`` escaped within texts.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring

_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_TINY, _HUGE = 1e-6, 1e21
"""Outside of these Go writes a number with an exponent."""


def dumps(value: object) -> bytes:
    """The text of *value*. Raises ValueError for a number that is not finite, TypeError for what has no form."""
    return "".join(_pieces(value)).encode(errors="replace")


def _pieces(value: object) -> Iterator[str]:
    match value:
        case str():
            yield _text(value)
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case int():
            yield int.__repr__(value)
        case float():
            yield _number(value)
        case Mapping():
            yield from _object(value)
        case Sequence() if not isinstance(value, bytes | bytearray):
            yield from _list(value)
        case _:
            raise TypeError(f"JSON has no form for {type(value).__name__}")


def _object(value: Mapping[str, object]) -> Iterator[str]:
    mark = "{"
    for key, one in value.items():
        yield f"{mark}{_text(key)}:"
        yield from _pieces(one)
        mark = ","
    yield "}" if value else "{}"


def _list(value: Sequence[object]) -> Iterator[str]:
    mark = "["
    for one in value:
        yield mark
        yield from _pieces(one)
        mark = ","
    yield "]" if value else "[]"


def _text(value: str) -> str:
    return encode_basestring(value).translate(_ESCAPES)


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("JSON has no word for a number that is not finite")
    size = abs(value)
    if value == 0 or _TINY <= size < _HUGE:
        written = repr(value)
        if "e" in written:
            return _without_exponent(value)
        return written.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"


def _without_exponent(value: float) -> str:
    """Python goes over to exponents sooner than Go does."""
    mantissa, _, exponent = repr(value).partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{value:.{max(decimals, 0)}f}"
