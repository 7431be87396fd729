"""Attributes of container instances: what their names and values may be (API: Attribute)."""

import re
from collections.abc import Iterable

from agent.controlplane.faults import invalid
from agent.controlplane.records import JsonObject

NAME = re.compile(r"[A-Za-z0-9_./\\-]{1,128}")
VALUE = re.compile(r"(?! )[A-Za-z0-9_./\\@:+ -]{1,128}(?<! )")
OURS = ("ecs.", "com.amazonaws.ecs.")
"""How the names begin that agents and ECS give; all others are the operator's own."""
MOST_CUSTOM = 10


def is_custom(name: str) -> bool:
    """Is it an attribute of the operator's own?"""
    return not name.startswith(OURS)


def read_attributes(given: Iterable[JsonObject]) -> dict[str, str]:
    """The attributes of a registration; one without a value has an empty one. Raises InvalidParameterException."""
    read = {attribute["name"]: attribute.get("value", "") for attribute in given}
    for name, value in read.items():
        if not NAME.fullmatch(name):
            raise invalid("attributes.name must hold 1 to 128 letters, digits and characters of _ . / \\ -")
        if value and not VALUE.fullmatch(value):
            raise invalid(
                f"attributes.value of {name} must hold 1 to 128 letters, digits, spaces (none at either end) and"
                " characters of _ . / \\ @ : + -"
            )
    if sum(is_custom(name) for name in read) > MOST_CUSTOM:
        raise invalid(f"attributes must hold at most {MOST_CUSTOM} of your own")
    return read
