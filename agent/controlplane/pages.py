"""Pages of a list: opaque tokens that work only for the list they were made for (API: nextToken)."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence

import msgspec

from agent.controlplane.faults import invalid
from agent.controlplane.records import JsonObject

LARGEST = 100
NOT_FILTERS = frozenset(("nextToken", "maxResults"))
SortKey = tuple[str | int, ...]


class Token(msgspec.Struct, frozen=True):
    """Where the next page begins, and of which list."""

    after: str
    filters: str


def page(
    kind: str,
    request: JsonObject,
    found: Sequence[str],
    sort_key: Callable[[str], SortKey],
    *,
    descending: bool = False,
) -> tuple[list[str], str | None]:
    """One page of *found*, all of one *kind*, and the token of the next page if there is more.

    Raises InvalidParameterException.
    """
    size = request.get("maxResults", LARGEST)
    if not 1 <= size <= LARGEST:
        raise invalid(f"maxResults must be between 1 and {LARGEST}")
    filters = _filters(kind, request)
    items = sorted(found, key=sort_key, reverse=descending)
    if request.get("nextToken"):
        after = _after(request["nextToken"], filters, sort_key)
        items = [item for item in items if (sort_key(item) < after if descending else sort_key(item) > after)]
    shown = items[:size]
    return shown, _write(Token(shown[-1], filters)) if len(items) > size else None


def _filters(kind: str, request: JsonObject) -> str:
    """What must stay the same from page to page, as a digest."""
    kept = sorted((member, str(value)) for member, value in request.items() if member not in NOT_FILTERS)
    return hashlib.sha256(repr((kind, kept)).encode()).hexdigest()[:16]


def _write(token: Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _after(text: str, filters: str, sort_key: Callable[[str], SortKey]) -> SortKey:
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text), type=Token)
        after = sort_key(token.after)
    except (binascii.Error, ValueError):
        raise invalid("Invalid token: nextToken is not one that this list gave") from None
    if token.filters != filters:
        raise invalid("Invalid token: nextToken belongs to another list or to other filters")
    return after
