"""JSON as Go writes it, byte by byte: what reads our answers was written against an agent in Go.

Compact, keys in the order they come in (a map of Go's is sorted by whoever makes it), numbers without decimals where
they need none, and ``<``, ``>`` and ``&`` escaped within texts.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring

JsonObject = dict[str, object]

_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
_TINY, _HUGE = 1e-6, 1e21
"""Outside of these Go writes a number with an exponent."""


def dumps(value: object) -> bytes:
    """The text of *value*. Raises ValueError for a number that is not finite, TypeError for what has no form."""
    return "".join(_pieces(value)).encode(errors="replace")


def indented(value: object) -> bytes:
    """The text of *value* with a line for each member, and tabs before it."""
    return (
        json.dumps(value, indent="\t", ensure_ascii=False, allow_nan=False).translate(_ESCAPES).encode(errors="replace")
    )


def moment(at: datetime | None) -> str:
    """A time in UTC as Go prints it (RFC 3339, no zeros at its end); ``""`` for none."""
    if at is None:
        return ""
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def filled(members: Mapping[str, object]) -> JsonObject:
    """The *members* that are not empty (Go's ``omitempty``): neither 0, ``""``, false, None nor without entries."""
    return {name: value for name, value in members.items() if value or (value is not None and _is_struct(value))}


def _is_struct(value: object) -> bool:
    """Structs are never empty to Go; here an object that is to stay though it has no members is a Struct."""
    return isinstance(value, Struct)


class Struct(dict[str, object]):
    """An object that Go keeps as a struct: ``omitempty`` does not leave it out when it has no members."""


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
        return _without_exponent(value) if "e" in written else written.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"


def _without_exponent(value: float) -> str:
    """Python goes over to exponents sooner than Go does; the digits are the fewest that tell the number."""
    return format(Decimal(repr(value)), "f")
