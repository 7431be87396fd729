"""Values of settings as a person writes them in ``config.toml``."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta

from agent.config.setting import Setting

NAME = re.compile(r"[A-Za-z0-9_-]+")
RANGES = frozenset({"dynamic_host_port_range"})
UNITS = (("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)))


def setting_text(setting: Setting, value: object) -> str:
    """The value of *setting* in TOML."""
    if setting.field in RANGES and isinstance(value, tuple):
        return json.dumps("-".join(map(str, value)))
    return toml_text(value)


def toml_text(value: object) -> str:
    """*value* in TOML; what is not set is an empty text."""
    match value:
        case None:
            return '""'
        case bool() | int() | float():
            return json.dumps(value)
        case timedelta():
            return json.dumps(duration(value))
        case tuple():
            return "[" + ", ".join(map(toml_text, value)) + "]"
        case Mapping():
            return "{" + ", ".join(f"{_key(str(key))} = {toml_text(one)}" for key, one in value.items()) + "}"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def duration(span: timedelta) -> str:
    """*span* as Go writes it: ``1h30m``, ``500ms``."""
    if span < timedelta(0):
        return f"-{duration(-span)}"
    text = ""
    for unit, size in UNITS:
        count, span = divmod(span, size)
        text += f"{count}{unit}" if count else ""
    if span:
        milliseconds, rest = divmod(span, timedelta(milliseconds=1))
        text += f"{milliseconds}ms" if milliseconds else ""
        text += f"{rest.microseconds}us" if rest else ""
    return text or "0s"


def hidden(text: str) -> str:
    """*text* without the user and password of a URL, even where they hold a ``/`` or an ``@``."""
    return re.sub(r"//[^\s\"]*@", "//***@", text)


def _key(name: str) -> str:
    return name if NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)
