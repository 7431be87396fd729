"""Tags: who may say what (API: Tag)."""

import unicodedata
from collections.abc import Callable, Iterable

from agent.controlplane.faults import Fault, invalid
from agent.controlplane.records import JsonObject, Tags

PUNCTUATION = frozenset("_.:/=+-@")
MOST = 50


def read_tags(given: Iterable[JsonObject], fault: Callable[[str], Fault] = invalid) -> Tags:
    """The tags of a request. Raises Fault where a rule is broken."""
    tags = tuple((tag.get("key", ""), tag.get("value", "")) for tag in given)
    if len(tags) > MOST:
        raise fault(f"tags must hold at most {MOST} entries")
    if len({key for key, _ in tags}) != len(tags):
        raise fault("tags must not hold the same key twice")
    for key, value in tags:
        if not key:
            raise fault("tags.key must not be empty")
        for word, name in ((key, "key"), (value, "value")):
            if word.lower().startswith("aws:"):
                raise fault(f"tags.{name} must not begin with aws:, which is reserved")
            if not all(letter in PUNCTUATION or unicodedata.category(letter)[0] in "LZN" for letter in word):
                raise fault(f"tags.{name} must hold letters, digits, spaces and {''.join(sorted(PUNCTUATION))} only")
    return tags


def show_tags(tags: Tags) -> list[JsonObject]:
    """Tags as answers hold them."""
    return [{"key": key, "value": value} for key, value in tags]
