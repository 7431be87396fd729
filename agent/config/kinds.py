"""The kinds of value a setting can have: how each is read from a variable's text and from a TOML value.

Every reader raises ValueError with the rule that was broken, worded to follow "must be".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

Reader = Callable[[object], object]
"""Takes a TOML value (or what a variable's text was read as) and gives the setting's value."""

LAST_PORT = 65535
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
UNITS = {"ns": 1e-3, "us": 1, "µs": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
"""Microseconds in each of Go's units."""
LONGEST = timedelta(microseconds=(2**63 - 1) // 1000)
"""In Go; beyond it no date could be reckoned with here either."""
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def _as_it_is(value: object) -> object:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to write a value. `from_text` and `from_json` give what TOML would have given; `check` judges it."""

    from_text: Callable[[str], object]
    check: Reader
    rule: str
    """What a value must be, in words."""
    from_json: Reader = _as_it_is
    """For the reference agent's JSON file, which writes some values otherwise. Raises ValueError."""
    number_in_json: bool = False
    zero_counts: bool = False
    """True if false or 0 is an answer there, and not the same as nothing."""
    zero: object = None
    """Another value that is the same as nothing to the reference agent, where it is a variable's."""
    is_url: bool = False
    """True if a value that breaks the rule may hold a user and a password."""

    def read_text(self, written: object) -> object:
        """The value that a variable's text stands for."""
        return self.check(self.from_text(str(written)))


def text() -> Kind:
    """Any text."""
    return Kind(str.strip, lambda value: _a(str, value, "text").strip(), "text")


def path() -> Kind:
    """An absolute path."""

    def check(value: object) -> Path:
        given = Path(_a(str, value, "an absolute path"))
        if not given.is_absolute():
            raise ValueError("an absolute path")
        return given

    return Kind(str, check, "an absolute path")


def choice(*words: str, ignore_case: bool = False, numbered: tuple[str, ...] = ()) -> Kind:
    """One of *words*. The reference agent's JSON file has the place of the word in *numbered*, if there are any."""
    rule = "one of " + ", ".join(words)

    def check(value: object) -> str:
        word = _a(str, value, rule)
        word = word.lower() if ignore_case else word
        if word not in words:
            raise ValueError(rule)
        return word

    def from_json(value: object) -> object:
        if not numbered:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(numbered):
            raise ValueError(f"a number from 0 to {len(numbered) - 1}")
        return numbered[value]

    return Kind(str.strip, check, rule, from_json, number_in_json=bool(numbered))


def member(of: type[StrEnum]) -> Kind:
    """One of the words of an enumeration, numbered in their order."""
    word = choice(*of, numbered=tuple(of))
    return Kind(
        word.from_text,
        lambda value: of(str(word.check(value))),
        word.rule,
        word.from_json,
        number_in_json=True,
        zero=next(iter(of)),
    )


def flag() -> Kind:
    """True or false, in the spellings of Go's ParseBool."""

    def from_text(written: str) -> bool:
        word = written.strip()
        if word in TRUE or word in FALSE:
            return word in TRUE
        raise ValueError("true or false")

    return Kind(from_text, lambda value: _a(bool, value, "true or false"), "true or false", zero_counts=True)


def plain_flag() -> Kind:
    """A flag whose false is the same as nothing to the reference agent: it does not beat a true of the JSON file."""
    return replace(flag(), zero_counts=False)


def whole_number(least: int, most: int, of: str = "") -> Kind:
    """A whole number within bounds."""
    rule = f"a whole number{of} from {least} to {most}"

    def from_text(written: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", written.strip()):
            raise ValueError(rule)
        return int(written)

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(rule)
        return value

    return Kind(from_text, check, rule, number_in_json=True)


def number(least: float, most: float) -> Kind:
    """A number within bounds, with a fraction or without."""
    rule = f"a number from {least:g} to {most:g}"

    def from_text(written: str) -> float:
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", written.strip()):
            raise ValueError(rule)
        return float(written)

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(rule)
        return float(value)

    return Kind(from_text, check, rule)


def texts(of: str) -> Kind:
    """A list of texts; a variable has them with commas between."""
    rule = f"a list of {of}"

    def check(value: object) -> tuple[str, ...]:
        listed = _a(list, value, rule)
        if not all(isinstance(word, str) and word.strip() for word in listed):
            raise ValueError(rule)
        return tuple(word.strip() for word in listed)

    return Kind(lambda written: [word for word in written.split(",") if word.strip()], check, rule)


def table() -> Kind:
    """A table of tables."""
    rule = "a table with a table for each name"

    def check(value: object) -> Mapping[str, object]:
        given = _a(dict, value, rule)
        if not all(isinstance(name, str) and isinstance(entry, dict) for name, entry in given.items()):
            raise ValueError(rule)
        return MappingProxyType(dict(given))

    return Kind(lambda written: _json(written, rule), check, rule)


def duration(least: timedelta, least_text: str, most: timedelta | None = None, most_text: str = "") -> Kind:
    """A span of time as Go writes it: ``90s``, ``1h30m``, ``500ms``."""
    up_to = f" and at most {most_text}" if most is not None else ""
    rule = f"a duration such as 90s or 1h30m, at least {least_text}{up_to}"

    def check(value: object) -> timedelta:
        span = parse_duration(_a(str, value, rule))
        if span is None or span < least or (most is not None and span > most):
            raise ValueError(rule)
        return span

    def from_json(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("a whole number of nanoseconds")  # noqa: TRY004 - as in `_a`
        return f"{value}ns"

    return Kind(str, check, rule, from_json, number_in_json=True)


def parse_duration(written: str) -> timedelta | None:
    """What Go's ParseDuration makes of *written*, to the microsecond; None if it is not a duration."""
    digits = written.lstrip("+-") if len(written) - len(written.lstrip("+-")) <= 1 else ""
    if digits == "0":
        return timedelta(0)
    if not digits or PART.sub("", digits):
        return None
    span = timedelta(0)
    try:
        for amount, unit in PART.findall(digits):
            span += timedelta(microseconds=float(amount) * UNITS[unit])
    except OverflowError:
        return None
    if span > LONGEST:
        return None
    return -span if written.startswith("-") else span


def ports() -> Kind:
    """A list of port numbers."""
    rule = f"a list of ports from 0 to {LAST_PORT}, such as [22, 2375]"

    def check(value: object) -> tuple[int, ...]:
        listed = _a(list, value, rule)
        if not all(isinstance(port, int) and not isinstance(port, bool) and 0 <= port <= LAST_PORT for port in listed):
            raise ValueError(rule)
        return tuple(listed)

    return Kind(lambda written: _json(written, rule), check, rule)


def port_range() -> Kind:
    """First and last port, as ``49153-65535``."""
    rule = f"a first and a last port from 1 to {LAST_PORT}, such as 49153-65535"

    def check(value: object) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", _a(str, value, rule))
        if not found or not 1 <= int(found[1]) <= int(found[2]) <= LAST_PORT:
            raise ValueError(rule)
        return int(found[1]), int(found[2])

    return Kind(str.strip, check, rule)


def rates() -> Kind:
    """Two whole numbers: how many in a second, and how many at once."""
    rule = "two whole numbers above 0 with a comma between, steady and burst, such as 40,60"

    def check(value: object) -> tuple[int, int]:
        written = ",".join(map(str, value)) if isinstance(value, list) else _a(str, value, rule)
        found = re.fullmatch(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", written)
        if not found or not int(found[1]) or not int(found[2]):
            raise ValueError(rule)
        return int(found[1]), int(found[2])

    return Kind(str.strip, check, rule)


def words(*known: str) -> Kind:
    """A list of words out of *known*."""
    rule = "a list out of " + ", ".join(known)

    def check(value: object) -> tuple[str, ...]:
        listed = _a(list, value, rule)
        if not all(word in known for word in listed):
            raise ValueError(rule)
        return tuple(listed)

    return Kind(lambda written: _json(written, rule), check, rule)


def pairs() -> Kind:
    """Names with a text each."""
    rule = 'a table of texts, such as {"rack": "7"}'

    def check(value: object) -> Mapping[str, str]:
        given = _a(dict, value, rule)
        if not all(isinstance(name, str) and isinstance(word, str) for name, word in given.items()):
            raise ValueError(rule)
        return MappingProxyType(dict(given))

    return Kind(lambda written: _json(written, rule), check, rule)


def address() -> Kind:
    """``host:port``, ``[v6 host]:port``, or ``off``."""
    rule = "host:port, such as 127.0.0.1:51678, or off"

    def check(value: object) -> str:
        written = _a(str, value, rule)
        host, colon, port = written.rpartition(":")
        is_bare = host.startswith("[") == host.endswith("]") and (":" not in host or host.startswith("["))
        is_port = port.isascii() and port.isdigit() and 0 < int(port) <= LAST_PORT
        if written != "off" and not (colon and host and is_bare and is_port):
            raise ValueError(rule)
        return written

    return Kind(check, check, rule)


def http_url() -> Kind:
    """A host or an http(s) URL; https is meant where no scheme is given. No user, no password."""
    rule = "a host or an http(s) URL without user, password or query, such as http://127.0.0.1:51690"

    def check(value: object) -> str:
        written = _a(str, value, rule)
        url = written if "://" in written else f"https://{written}"
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            usable = False
        if not usable or re.search(r"\s", url) or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(rule)
        return url.rstrip("/")

    return Kind(str.strip, check, rule, is_url=True)


def docker_url() -> Kind:
    """Where Docker listens."""
    rule = "a unix:///path or tcp://host:port address"

    def check(value: object) -> str:
        written = _a(str, value, rule)
        if not re.fullmatch(r"unix:///.+|(tcp|http|https)://[^/@]+/?", written):
            raise ValueError(rule)
        return written

    return Kind(str.strip, check, rule, is_url=True)


def _a(kind: type[T], value: object, rule: str) -> T:
    if not isinstance(value, kind):
        raise ValueError(rule)  # noqa: TRY004 - one error for every broken rule
    return value


def _json(written: str, rule: str) -> object:
    try:
        return json.loads(written)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{rule}, written as JSON") from error
