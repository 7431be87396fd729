"""Names of settings: which of them mean nothing, which was meant, and which are known but not acted on."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.config.known import BY_JSON, BY_KEY, BY_VARIABLE, TOLD_TO_TASKS, Unheeded
from agent.config.reference import SETTINGS
from agent.config.setting import OWN_PREFIX
from agent.config.sources import Form, Source
from agent.config.written import hidden

PREFIXES = (OWN_PREFIX, "ECS_", "NON_ECS_", "NONECS_")
KEYS_OF_AWS = frozenset({"aws.access_key_id", "aws.secret_access_key", "aws.session_token"})
LONGEST = 300
"""Characters of a value in a complaint."""
NO_SUCH = "there is no such setting"

VARIABLES = {variable for setting in SETTINGS for variable in setting.variables}
KEYS = {key for setting in SETTINGS for key in setting.keys}
JSON_KEYS = {setting.json.lower(): setting.json for setting in SETTINGS if setting.json}


@dataclass(frozen=True, slots=True)
class Misnamed:
    """A name that means nothing, and what to say of it. Values are left out: they may be secrets."""

    name: str
    text: str


def misnamed(source: Source) -> Iterator[Misnamed]:
    """The names of *source* that mean nothing."""
    match source.form:
        case Form.TEXT:
            known, near = VARIABLES | BY_VARIABLE.keys() | TOLD_TO_TASKS, VARIABLES | BY_VARIABLE.keys()
            suspects = [name for name in source.values if name.startswith(PREFIXES)]
        case Form.TOML:
            known, near = KEYS | BY_KEY.keys(), KEYS
            suspects = list(source.values)
        case Form.JSON:
            known, near = JSON_KEYS.keys() | BY_JSON.keys(), set(JSON_KEYS)
            suspects = list(source.values)
    for name in suspects:
        if name in KEYS_OF_AWS:
            yield Misnamed(name, f"{name}: keys do not belong in this file; give them in the environment or a profile")
        elif name not in known:
            yield Misnamed(name, f"{name}: {NO_SUCH}{_did_you_mean(name, near)}")


def unheeded(sources: Iterable[Source]) -> Iterator[str]:
    """The names in *sources* that are known and not acted on, where their values ask for something."""
    for source in sources:
        known = {Form.TEXT: BY_VARIABLE, Form.TOML: BY_KEY, Form.JSON: BY_JSON}[source.form]
        for name in source.values.keys() & known.keys():
            if _asks(source.values[name], known[name]):
                yield known[name].json if source.form is Form.JSON else name


def why(name: str) -> str:
    """Why what is called *name* is not acted on."""
    one = BY_VARIABLE.get(name) or BY_KEY.get(name) or BY_JSON[name.lower()]
    return one.because


def shown(value: object, *, is_url: bool = False) -> str:
    """*value* as the operator wrote it, without the user and password of a URL.

    What was meant as a URL may be a broken one: then whatever stands before its last ``@`` or behind its ``?`` is left
    out.
    """
    if is_url and isinstance(value, str):
        scheme = re.match(r"[a-zA-Z]+://|", value)
        before, is_there, host = value.rpartition("@")
        begins = (scheme[0] if scheme else "") + "***@" if is_there else before
        value = begins + re.sub(r"([?#]).*", r"\1***", host, flags=re.DOTALL)
    text = hidden(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _asks(written: object, one: Unheeded) -> bool:
    text = json.dumps(written) if isinstance(written, bool) else str(written or "").strip()
    return bool(text) and text not in one.means_nothing


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    by_last_part = {each.rpartition(".")[2]: each for each in known}
    near = difflib.get_close_matches(name, known, n=1) or [
        by_last_part[part] for part in difflib.get_close_matches(name.rpartition(".")[2], by_last_part, n=1)
    ]
    return f"; did you mean {JSON_KEYS.get(near[0], near[0])}?" if near else ""
