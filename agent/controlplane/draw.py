"""Chance as a value: whatever a decision needs at random follows from one drawn seed."""

import hashlib
import hmac
import uuid


class Draw:
    """Random words expanded from a seed that was drawn at the edge and is never kept.

    The seed has 256 bits and HMAC is a pseudo-random function: whoever sees some words cannot tell the others.
    """

    def __init__(self, seed: str) -> None:
        self._seed = bytes.fromhex(seed)
        self._count = 0

    def digits(self, count: int = 32) -> str:
        """So many hexadecimal digits, at most 64; others at every call."""
        self._count += 1
        return hmac.new(self._seed, str(self._count).encode(), hashlib.sha256).hexdigest()[:count]

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(hex=self.digits(), version=4))
