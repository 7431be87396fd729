"""Whether the agent can do its work now: what it needs, and what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass

READY, NOT_READY = 200, 503

View = dict[str, object]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that the agent needs, and what is wrong with it; nothing is where that is empty."""

    name: str
    trouble: str = ""


def view(conditions: Iterable[Condition]) -> tuple[int, View]:
    """The status and body of an answer: 200 if nothing is wrong, or else 503."""
    all_of_them = tuple(conditions)
    is_ready = not any(one.trouble for one in all_of_them)
    shown: View = {one.name: {"ok": not one.trouble, **_reason(one)} for one in all_of_them}
    return READY if is_ready else NOT_READY, {"ready": is_ready, **shown}


def _reason(condition: Condition) -> dict[str, str]:
    return {"reason": condition.trouble} if condition.trouble else {}
