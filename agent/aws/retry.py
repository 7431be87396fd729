"""How often, and how long apart, a call to AWS is repeated: the standard mode of AWS's own clients."""

from collections.abc import Mapping

from agent.aws.failures import EcsError
from agent.model.errors import BadInput

STANDARD = 3
"""Attempts in all."""
ONCE = 1
"""For callers that keep their own order of repeats, such as the outbox."""
LONGEST = 20.0

QUOTA = 500
COST, COST_AFTER_SILENCE = 5, 10
REFUND = 1
"""What repeats cost of the quota, and what a call that works at once puts back (wire protocol, Transport)."""


def wait_after(attempt: int, attempts: int, error: EcsError, draw: float) -> float | None:
    """Seconds to wait after *attempt* (from 1) failed with *error*, or None to give up.

    *draw* is uniform in [0, 1): the wait is anything up to 2, 4, 8, ... seconds, at most 20, so that a fleet that
    failed together does not come back together.
    """
    if attempt >= attempts or not error.is_transient:
        return None
    return min(LONGEST, draw * 2.0**attempt)


def attempts_of(environ: Mapping[str, str]) -> int:
    """How often a call is made in all: ``AWS_MAX_ATTEMPTS``, or the standard. Raises BadInput."""
    said = environ.get("AWS_MAX_ATTEMPTS", "").strip()
    if not said:
        return STANDARD
    if not said.isdecimal() or int(said) == 0:
        raise BadInput("AWS_MAX_ATTEMPTS", "must be a whole number of at least 1")
    return int(said)


class Quota:
    """What repeats there may be. A service that answers nothing for long is asked once a call, and no more."""

    def __init__(self) -> None:
        self.left = QUOTA

    def take(self, error: EcsError) -> int | None:
        """Pay for a repeat after *error*; gives its price, None where there is not enough left."""
        price = COST_AFTER_SILENCE if error.was_silence else COST
        if price > self.left:
            return None
        self.left -= price
        return price

    def refund(self, price: int) -> None:
        """A call worked: its last repeat, which cost *price*, or none at all (0)."""
        self.left = min(QUOTA, self.left + (price or REFUND))
