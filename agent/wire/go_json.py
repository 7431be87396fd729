"""JSON as Go's encoder writes it: compact, whole numbers without decimals, ``<``, ``>`` and ``&`` escaped.

Programs that read what Amazon's agent serves were written against these bytes.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

JsonObject = dict[str, object]

_ESCAPES = str.maketrans({one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"})
_WHOLE_UP_TO = 1e21
"""From here on Go writes an exponent."""


def dumps(value: object) -> bytes:
    """*value* in Go's form. Objects keep their order. Raises ValueError for a number that is none (NaN)."""
    text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.translate(_ESCAPES).encode(errors="replace")


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


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_UP_TO:
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
