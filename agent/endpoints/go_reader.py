"""Reads JSON as Go's decoder does: only the first value counts, and what is wrong is said in the same words."""

import json
from dataclasses import dataclass

from agent.model.errors import AgentError

MOST_DEPTH = 200
"""Go goes fifty times as deep; no request needs it."""
SPACE = " \t\r\n"
HEX = frozenset("0123456789abcdefABCDEF")
DIGITS = frozenset("0123456789")
SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\a": r"\a", "\b": r"\b", "\f": r"\f", "\v": r"\v"}
LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class BadJson(AgentError):
    """The text is no JSON."""


class NoJson(AgentError):
    """There is no text."""


class Number(str):
    """A number, as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Members:
    """An object, with its members in the order in which they were written; a name may come twice."""

    pairs: tuple[tuple[str, "Json"], ...] = ()


Json = str | Number | bool | None | Members | tuple["Json", ...]


def first_value(body: bytes) -> Json:
    """The first value in *body*; what follows it is not looked at. Raises NoJson, BadJson."""
    reader = _Reader(body.decode("latin-1"))
    if reader.is_blank():
        raise NoJson("there is no text")
    return reader.value()


class _Reader:
    """Reads byte by byte: one byte is one letter here, and only the inside of texts is UTF-8."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def is_blank(self) -> bool:
        return not self._text.strip(SPACE)

    def value(self) -> Json:
        sign = self._skip_space()
        if sign == "{":
            return self._object()
        if sign == "[":
            return self._list()
        if sign == '"':
            return self._string()
        if sign == "-" or sign in DIGITS:
            return self._number()
        for word, meaning in LITERALS.items():
            if sign == word[0]:
                self._literal(word)
                return meaning
        raise self._wrong("looking for beginning of value")

    def _object(self) -> Members:
        self._enter()
        pairs: list[tuple[str, Json]] = []
        if self._skip_space() != "}":
            while True:
                if self._skip_space() != '"':
                    raise self._wrong("looking for beginning of object key string")
                key = self._string()
                if self._skip_space() != ":":
                    raise self._wrong("after object key")
                self._at += 1
                pairs.append((key, self.value()))
                if (sign := self._skip_space()) == "}":
                    break
                if sign != ",":
                    raise self._wrong("after object key:value pair")
                self._at += 1
        self._leave()
        return Members(tuple(pairs))

    def _list(self) -> tuple[Json, ...]:
        self._enter()
        values: list[Json] = []
        if self._skip_space() != "]":
            while True:
                values.append(self.value())
                if (sign := self._skip_space()) == "]":
                    break
                if sign != ",":
                    raise self._wrong("after array element")
                self._at += 1
        self._leave()
        return tuple(values)

    def _string(self) -> str:
        begin = self._at
        self._at += 1
        while (sign := self._here()) != '"':
            if sign < " ":
                raise self._wrong("in string literal")
            self._at += 1
            if sign == "\\":
                self._escape()
        self._at += 1
        text = self._text[begin : self._at].encode("latin-1").decode(errors="replace")
        read: str = json.loads(text)
        return read.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _escape(self) -> None:
        sign = self._here()
        if sign != "u" and sign not in 'bfnrt\\/"':
            raise self._wrong("in string escape code")
        self._at += 1
        if sign == "u":
            for _ in range(4):
                if self._here() not in HEX:
                    raise self._wrong("in \\u hexadecimal character escape")
                self._at += 1

    def _number(self) -> Number:
        begin = self._at
        if self._here() == "-":
            self._at += 1
            if self._here() not in DIGITS:
                raise self._wrong("in numeric literal")
        if self._here() == "0":
            self._at += 1
        else:
            self._digits()
        if self._peek() == ".":
            self._at += 1
            if self._here() not in DIGITS:
                raise self._wrong("after decimal point in numeric literal")
            self._digits()
        if self._peek() in ("e", "E"):
            self._at += 1
            if self._here() in "+-":
                self._at += 1
            if self._here() not in DIGITS:
                raise self._wrong("in exponent of numeric literal")
            self._digits()
        return Number(self._text[begin : self._at])

    def _digits(self) -> None:
        while self._peek() in DIGITS:
            self._at += 1

    def _literal(self, word: str) -> None:
        for letter in word:
            if self._here() != letter:
                raise self._wrong(f"in literal {word} (expecting {_quoted(letter)})")
            self._at += 1

    def _enter(self) -> None:
        self._at += 1
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise BadJson("exceeded max depth")

    def _leave(self) -> None:
        self._at += 1
        self._depth -= 1

    def _skip_space(self) -> str:
        while self._here() in SPACE:
            self._at += 1
        return self._here()

    def _peek(self) -> str:
        """The letter to be read; empty at the end."""
        return self._text[self._at : self._at + 1]

    def _here(self) -> str:
        """The letter to be read; there must be one."""
        if self._at >= len(self._text):
            raise BadJson("unexpected EOF")
        return self._text[self._at]

    def _wrong(self, where: str) -> BadJson:
        return BadJson(f"invalid character {_quoted(self._text[self._at])} {where}")


def _quoted(sign: str) -> str:
    if sign == "'":
        return r"'\''"
    if sign == '"':
        return "'\"'"
    if sign.isprintable():
        return f"'{sign}'" if sign != "\\" else r"'\\'"
    if sign in SHORT:
        return f"'{SHORT[sign]}'"
    return f"'\\x{ord(sign):02x}'" if sign.isascii() else f"'\\u{ord(sign):04x}'"
