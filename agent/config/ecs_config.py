"""The reference agent's ``ecs.config``: a variable a line, read as its starter reads it, but for quotes.

Lines are trimmed and split at the first ``=``; nothing is expanded, nothing is continued. Under the reference agent
that file is read twice: by its starter, which leaves quotes where they are, and by systemd, which takes them off. No
setting wants quotes around its value, so they are taken off here, and a remark says so.
"""

import re
from collections.abc import Mapping

QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COMMENT = ("#", ";")
NO_NAME = "what stands before the = is no name of a variable"
BYTE_ORDER_MARK = "\ufeff"
REPLACED = "\ufffd"
"""What stands for bytes that are not UTF-8, as in what Go hands to Docker."""
FOR_EVERYBODY = re.compile(r"(HTTP|HTTPS|NO)_PROXY|(http|https|no)_proxy|AWS_[A-Z0-9_]+|SSL_[A-Z0-9_]+")
"""Variables that are for whoever runs in the process, and not for the agent alone."""


def parse(text: str) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """The variables in *text*, the last of a name counts; remarks; and what is said of lines that name nothing.

    A value is in none of them.
    """
    values: dict[str, str] = {}
    remarks, strays = [], []
    for number, line in enumerate(text.splitlines(), 1):
        name, is_there, value = line.strip().partition("=")
        if not is_there or name.startswith(COMMENT):
            continue
        if not NAME.fullmatch(name):
            begins = f"begins with a byte order mark, so {NO_NAME}" if name.startswith(BYTE_ORDER_MARK) else NO_NAME
            strays.append(f"line {number}: {begins}; the line counts for nothing")
            continue
        quoted = QUOTED.fullmatch(value)
        if quoted and quoted[1] not in quoted[2]:
            value = quoted[2]
            remarks.append(f"{name}: the quotes around its value are left out")
        if REPLACED in value:
            remarks.append(f"{name}: its value is not UTF-8; what cannot be read is {REPLACED}")
        values[name] = value
    return values, tuple(remarks), tuple(strays)


def for_everybody(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What of *values* becomes environment of the process: proxies, keys, certificates.

    *environ* has it first, however it is spelt there: proxies have two spellings.
    """
    return {
        name: value
        for name, value in values.items()
        if FOR_EVERYBODY.fullmatch(name) and value and not {name, name.upper(), name.lower()} & environ.keys()
    }
