"""Choices read from bytes: a history is a tape, and a shorter tape with smaller bytes is a simpler history."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Tape:
    """Gives choices until it runs out; after that every choice is the first one."""

    def __init__(self, choices: bytes) -> None:
        self._choices = choices
        self._read = 0

    @property
    def is_over(self) -> bool:
        return self._read >= len(self._choices)

    def below(self, bound: int) -> int:
        if self.is_over:
            return 0
        self._read += 1
        return self._choices[self._read - 1] % bound

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def rarely(self, one_in: int) -> bool:
        return self.below(one_in) == one_in - 1
