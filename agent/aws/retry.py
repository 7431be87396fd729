"""How often, and how long apart, a call to AWS is repeated: the standard mode of AWS's own clients."""

from agent.aws.failures import EcsError

STANDARD = 3
"""Attempts in all."""
ONCE = 1
"""For callers that keep their own order of repeats, such as the outbox."""
LONGEST = 20.0


def wait_after(attempt: int, attempts: int, error: EcsError, draw: float) -> float | None:
    """Seconds to wait after *attempt* (from 1) failed with *error*, or None to give up.

    *draw* is uniform in [0, 1): the wait is anything up to 2, 4, 8, ... seconds, at most 20, so that a fleet that
    failed together does not come back together.
    """
    if attempt >= attempts or not error.is_transient:
        return None
    return min(LONGEST, draw * 2.0**attempt)
