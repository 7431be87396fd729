"""Defaults, then ``config.toml``, then the environment: each beats the one before it.

Nothing is read here but the values that are handed in. All complaints come at once, so that a file is put right in one
go. An empty text, list or table means "not given", as it does to the reference agent.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from agent.config.kinds import Reader
from agent.config.known import KNOWN_TO_ECS
from agent.config.reference import OWN_PREFIX, SETTINGS, key_of
from agent.config.settings import Settings
from agent.model.errors import AgentError

EMPTY: tuple[object, ...] = ("", (), [], {})
KEYS_OF_AWS = frozenset({"aws.access_key_id", "aws.secret_access_key", "aws.session_token"})


class BadSettings(AgentError):
    """Settings that cannot be used; `complaints` says everything that is wrong with them, one line each."""

    def __init__(self, complaints: Iterable[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(self.complaints))


def load(environ: Mapping[str, str], toml_text: str = "") -> Settings:
    """The settings that *environ* and *toml_text* make. Raises BadSettings with everything that is wrong."""
    try:
        given = dict(_leaves(tomllib.loads(toml_text)))
    except tomllib.TOMLDecodeError as error:
        raise BadSettings([f"config.toml is not TOML: {error}"]) from error
    complaints = _misnamed(environ, given)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        sources: list[tuple[str, object, Reader]] = [
            *((key, given[key], setting.kind.check) for key in reversed(setting.keys) if key in given),
            *((name, environ[name], setting.kind.read_text) for name in reversed(setting.variables) if name in environ),
        ]
        for name, written, read in sources:  # every one is checked; the last one counts
            try:
                if written not in EMPTY and (value := read(written)) not in EMPTY:
                    values[setting.field] = value
            except ValueError as broken:
                given_as = name if setting.secret else f"{name} = {_shown(written)}"
                complaints.append(f"{given_as}: must be {broken}")
    complaints += () if complaints else _at_odds(Settings(**values))
    if complaints:
        raise BadSettings(complaints)
    return replace(Settings(**values), not_honoured=_not_honoured(environ, given))


def _leaves(document: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """Every ``section.key`` of *document*; what stands outside a section keeps its bare name."""
    for section, content in document.items():
        if isinstance(content, dict):
            yield from ((f"{section}.{key}", value) for key, value in content.items())
        else:
            yield section, content


def _misnamed(environ: Mapping[str, str], given: Mapping[str, object]) -> list[str]:
    """A complaint for each name of ours that means nothing. Values are left out: they may be secrets."""
    keys = {key for setting in SETTINGS for key in setting.keys}
    variables = {variable for setting in SETTINGS for variable in setting.variables}
    known = keys | {key_of(variable) for variable in KNOWN_TO_ECS}
    complaints = []
    for key in given:
        if key in KEYS_OF_AWS:
            complaints.append(f"{key}: keys do not belong in this file; give them in the environment or a profile")
        elif key not in known:
            complaints.append(f"{key}: there is no such setting{_did_you_mean(key, keys)}")
    complaints += [
        f"{name}: there is no such setting{_did_you_mean(name, variables)}"
        for name in environ
        if name.startswith(OWN_PREFIX) and name not in variables
    ]
    return complaints


def _at_odds(settings: Settings) -> Iterable[str]:
    """Settings that are fine by themselves, and not together."""
    low, high, critical = (
        (f"{OWN_PREFIX}DISK_{name}_WATERMARK", value)
        for name, value in (
            ("LOW", settings.disk_low_watermark),
            ("HIGH", settings.disk_high_watermark),
            ("CRITICAL", settings.disk_critical_watermark),
        )
    )
    for (smaller, less), (larger, more) in ((low, high), (high, critical)):
        if less >= more:
            yield f"{smaller} = {less}: must be less than {larger}, which is {more}"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    by_last_part = {each.rpartition(".")[2]: each for each in known}
    near = difflib.get_close_matches(name, known, n=1) or [
        by_last_part[part] for part in difflib.get_close_matches(name.rpartition(".")[2], by_last_part, n=1)
    ]
    return f"; did you mean {near[0]}?" if near else ""


def _not_honoured(environ: Mapping[str, str], given: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(
        sorted(
            {name for name in KNOWN_TO_ECS if environ.get(name)}
            | {key_of(name) for name in KNOWN_TO_ECS if key_of(name) in given}
        )
    )


def _shown(value: object) -> str:
    """*value* as the operator wrote it, without the user and password of a URL."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return re.sub(r"//[^/@\s]*@", "//***@", text)
