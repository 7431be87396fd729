"""Where settings come from: each place is read into a `Source` by somebody else, and judged here in one way.

`Given` is a stack of them, from the weakest to the strongest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.config.kinds import Kind
from agent.config.setting import Setting

REFERENCE_LOGS = "/log/"
HOST_LOGS = "/var/log/ecs/"
REFERENCE_DATA = ("/data", "/data/")


class Form(StrEnum):
    """How values are written there."""

    TEXT = "text"
    """By variable; every value is a text."""
    TOML = "toml"
    """By dotted key."""
    JSON = "json"
    """By the reference agent's key, in small letters; durations are nanoseconds."""


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in one place. `name` is what people are told of it; empty where there is nothing to tell apart."""

    name: str
    form: Form
    values: Mapping[str, object] = field(repr=False)
    is_of_reference: bool = False
    """True if it was written for the reference agent, whose paths are those of its container."""

    def of(self, setting: Setting) -> Iterator[tuple[str, object]]:
        """What it says of *setting*: name and value as written, the one that counts last."""
        names: tuple[str, ...] = {
            Form.TEXT: setting.variables,
            Form.TOML: setting.keys,
            Form.JSON: (setting.json.lower(),) if setting.json else (),
        }[self.form]
        for name in reversed(names):
            if name in self.values:
                written = self.values[name]
                shown = setting.json if self.form is Form.JSON else name
                yield shown, on_host(setting.field, written) if self.is_of_reference else written

    def read(self, kind: Kind, written: object) -> object:
        """The value that *written* stands for. Raises ValueError with the rule that it breaks."""
        if self.form is Form.TEXT:
            return kind.read_text(written)
        return kind.check(kind.from_json(written) if self.form is Form.JSON else written)

    def told(self, text: str) -> str:
        """*text* about something in this source."""
        return f"{self.name}: {text}" if self.name else text


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that was given, the weakest first, and how it is judged."""

    sources: tuple[Source, ...] = ()
    strict: bool = True


def on_host(field_name: str, written: object) -> object:
    """A path of the reference agent's container as the host has it; its data directory is never ours."""
    if not isinstance(written, str):
        return written
    if field_name == "data_dir" and written.strip() in REFERENCE_DATA:
        return ""
    if field_name in ("log_file", "audit_log_file") and written.startswith(REFERENCE_LOGS):
        return HOST_LOGS + written.removeprefix(REFERENCE_LOGS)
    return written
