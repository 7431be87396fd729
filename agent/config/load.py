"""Every place beats the one below it; what each says is checked, and all complaints come at once.

Nothing is read here but what is handed in. An empty text, list or table means "not given". Strict, every value that
breaks its rule and every name that means nothing is a complaint; open, it is a remark wherever the reference agent
would start too (openness.py).
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.config import json_config, logins, names
from agent.config.names import shown
from agent.config.openness import forgive
from agent.config.reference import SETTINGS
from agent.config.setting import OWN_PREFIX, Setting
from agent.config.settings import Settings
from agent.config.sources import Form, Given, Source
from agent.model.errors import AgentError, BadInput

EMPTY: tuple[object, ...] = ("", (), [], {})
TOML = "config.toml"
IMDS_OVER_IPV6 = "http://[fd00:ec2::254]"
STARTS_ALL_THE_SAME = "{}: must be {}; {}"


class BadSettings(AgentError):
    """Settings that cannot be used; `complaints` says everything that is wrong with them, one line each."""

    def __init__(self, complaints: Iterable[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(self.complaints))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from, and by which name."""

    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, the origin of each that is not a default, and what is odd about them."""

    settings: Settings
    origins: Mapping[str, Origin]
    remarks: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What files say for everybody in the process, such as proxies."""


def load(environ: Mapping[str, str], toml_text: str = "") -> Settings:
    """The settings that *environ* and *toml_text* make, strictly. Raises BadSettings with everything that is wrong."""
    sources = (toml_source(toml_text, ""), Source("", Form.TEXT, environ))
    return settle(Given(sources)).settings


def toml_source(text: str, name: str) -> Source:
    """What a ``config.toml`` holds. Raises BadSettings."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings([f"{name or TOML} is not TOML: {error}"]) from error
    except (ValueError, RecursionError) as error:
        raise BadSettings([f"{name or TOML} is not TOML: a value in it is too long, or too deep"]) from error
    return Source(name, Form.TOML, dict(_leaves(document)))


def settle(given: Given) -> Loaded:
    """What *given* comes to. Raises BadSettings with everything that is wrong."""
    sieve = _Sieve(given.strict)
    chosen: dict[str, tuple[Any, Source, str]] = {}
    for setting in SETTINGS:
        for source in given.sources:
            for name, written in source.of(setting):
                value = sieve.value(setting, source, name, written)
                if _takes_back(source, written, value, chosen.get(setting.field)):
                    del chosen[setting.field]
                if value not in EMPTY and not _loses(setting, source, value, chosen.get(setting.field)):
                    chosen[setting.field] = value, source, name
    for source in given.sources:
        sieve.names(source)
    settings = Settings(**{name: value for name, (value, _, _) in chosen.items()})
    if settings.imds_mode == "ipv6" and "imds_endpoint" not in chosen:
        settings = replace(settings, imds_endpoint=IMDS_OVER_IPV6)
    origins = {setting: Origin(source.name, name) for setting, (_, source, name) in chosen.items()}
    settings = sieve.with_logins(settings, origins)
    sieve.complaints += () if sieve.complaints else _at_odds(settings)
    if sieve.complaints:
        raise BadSettings(sieve.complaints)
    unheeded = sorted(set(names.unheeded(given.sources)))
    return Loaded(
        replace(settings, not_honoured=tuple(unheeded), given=given),
        origins,
        tuple(sieve.remarks),
    )


def with_user_data(settings: Settings, text: str) -> tuple[Settings, tuple[str, ...]]:
    """*settings* with what the user data of the instance says, which nearly everything else beats; and remarks.

    Raises BadSettings.
    """
    found, given = json_config.user_data_source(text), settings.given
    if found is None or not given.sources:
        return settings, ()
    source, remarks = found
    lowest = [one for one in given.sources if one.name == FOUND]
    others = [one for one in given.sources if one.name != FOUND]
    loaded = settle(replace(given, sources=(*lowest, source, *others)))
    before = settle(given).remarks
    new = [remark for remark in loaded.remarks if remark not in before]
    vain = [f"{name}: {names.why(name)}" for name in sorted(set(names.unheeded((source,))))]
    return loaded.settings, (*(source.told(remark) for remark in (*remarks, *vain)), *new)


FOUND = "found on this machine"
"""The source of what is no setting of anybody, but follows from the machine."""


class _Sieve:
    """Owns the complaints and the remarks."""

    def __init__(self, strict: bool) -> None:  # noqa: FBT001 - the one thing it is asked
        self._strict = strict
        self.complaints: list[str] = []
        self.remarks: list[str] = []

    def value(self, setting: Setting, source: Source, name: str, written: object) -> object:
        """What *written* means; empty where it means nothing."""
        counts = setting.kind.zero_counts
        if written in EMPTY or (source.form is Form.JSON and json_config.is_nothing(written, zero_counts=counts)):
            return ""
        try:
            return source.read(setting.kind, written)
        except ValueError as broken:
            given_as = name if setting.secret else f"{name} = {shown(written, is_url=setting.kind.is_url)}"
            forgiven = None if self._strict else forgive(setting, source, name, written)
            if forgiven is None:
                self.complaints.append(source.told(f"{given_as}: must be {broken}"))
                return ""
            self.remarks.append(source.told(STARTS_ALL_THE_SAME.format(given_as, broken, forgiven.says)))
            return "" if forgiven.value is None else forgiven.value

    def names(self, source: Source) -> None:
        """Look for names that mean nothing. One with our own prefix is always a mistake."""
        for one in names.misnamed(source):
            is_ours = one.name.startswith(OWN_PREFIX) or source.form is Form.TOML
            (self.complaints if self._strict or is_ours else self.remarks).append(source.told(one.text))

    def with_logins(self, settings: Settings, origins: Mapping[str, Origin]) -> Settings:
        """*settings*, without logins if those make no sense and that is no complaint."""
        if self.complaints:
            return settings
        try:
            logins.read(settings.engine_auth_type, settings.engine_auth_data)
        except BadInput as broken:
            found = origins.get("engine_auth_data") or origins["engine_auth_type"]
            text = f"{found.source}: {broken}" if found.source else str(broken)
            if self._strict:
                self.complaints.append(text)
                return settings
            self.remarks.append(f"{text}; no registry is logged in to")
            return replace(settings, engine_auth_type="", engine_auth_data={})
        return settings


def _loses(setting: Setting, source: Source, value: object, before: tuple[Any, Source, str] | None) -> bool:
    """Does *value* lose to one from a weaker place? A variable's zero does to the JSON, as in the reference agent."""
    is_zero = (not value and not setting.kind.zero_counts) or value == setting.kind.zero
    return is_zero and source.form is Form.TEXT and before is not None and before[1].form is Form.JSON


def _takes_back(source: Source, written: object, value: object, before: tuple[Any, Source, str] | None) -> bool:
    """Is this an empty list over what nobody asked for, and what was only found on the machine?"""
    is_empty_list = value == () or written == []
    return is_empty_list and source.form is not Form.JSON and before is not None and before[1].name == FOUND


def _leaves(document: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """Every ``section.key`` of *document*; what stands outside a section keeps its bare name."""
    for section, content in document.items():
        if isinstance(content, dict):
            yield from ((f"{section}.{key}", value) for key, value in content.items())
        else:
            yield section, content


def _at_odds(settings: Settings) -> Sequence[str]:
    """Settings that are fine by themselves, and not together."""
    low, high, critical = (
        (f"{OWN_PREFIX}DISK_{name}_WATERMARK", value)
        for name, value in (
            ("LOW", settings.disk_low_watermark),
            ("HIGH", settings.disk_high_watermark),
            ("CRITICAL", settings.disk_critical_watermark),
        )
    )
    return [
        f"{smaller} = {less}: must be less than {larger}, which is {more}"
        for (smaller, less), (larger, more) in ((low, high), (high, critical))
        if less >= more
    ]
