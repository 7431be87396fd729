"""What becomes of a value that breaks its rule on a host that was set up for the reference agent.

That agent starts all the same with most of them: it takes the nearest value that it allows, or its default. So does
this one, and says so; only what it refuses too ends the start, and what would lead this one astray: where its data are,
and whom it talks to. Settings of our own are never forgiven: nothing but this program reads them.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from agent.config.kinds import Kind, parse_duration
from agent.config.setting import OWN_PREFIX, Setting
from agent.config.sources import Form, Source

AT_LEAST = {
    "stop_timeout": timedelta(seconds=1),
    "container_start_timeout": timedelta(seconds=45),
    "container_create_timeout": timedelta(minutes=1),
    "manifest_pull_timeout": timedelta(seconds=30),
    "image_pull_inactivity_timeout": timedelta(minutes=1),
}
"""Durations that are raised to their least value; a zero counts as not given."""
NEVER_IN_JSON = frozenset({"stop_timeout", "container_start_timeout"})
UNBOUNDED_IN_JSON = frozenset({"container_create_timeout", "manifest_pull_timeout"})
PASSED_OVER_IN_JSON = frozenset({"engine_auth_type", "cgroup_path", "audit_log_file"})
"""Texts that break a rule there, and are of the type that the key wants."""
NEVER = frozenset(
    {"instance_attributes", "instance_tags", "data_dir", "docker_host", "backend_host", "imds_endpoint", "ca_file"}
    | {"json_config"}
)
WORDS_THAT_COUNT = {"volume_plugin_capabilities": ("efsAuth",)}
"""Lists of which the words that are known are kept."""
NO_BOUND = 10**6
MOST_IN_GO = 2**63
"""What is beyond is no number to the reference agent."""
OTHERWISE = {
    "available_logging_drivers": "an unknown driver is an error; what is no list counts as not given",
    "log_rollover_type": "hourly",
    "nonecs_num_containers_delete_per_cycle": "what is less than 0 is no bound; else not given",
    "volume_plugin_capabilities": "words that are known are kept",
}


@dataclass(frozen=True, slots=True)
class Forgiven:
    """What is made of a broken value; None counts as not given."""

    value: object
    says: str


IGNORED = Forgiven(None, "it counts as not given")
UNBOUNDED = Forgiven(NO_BOUND, "there is no bound")


def forgive(setting: Setting, source: Source, name: str, written: object) -> Forgiven | None:
    """What the reference agent makes of *written*, which breaks the rule of *setting*; None if it refuses to start."""
    if setting.field in NEVER or name.startswith(OWN_PREFIX) or source.form is Form.TOML:
        return None
    if source.form is Form.JSON:
        return _in_json(setting, written)
    return _in_text(setting, str(written))


def says_when_wrong(setting: Setting) -> str:
    """What becomes of a variable that breaks the rule of *setting*, in words."""
    if setting.field in NEVER or all(name.startswith(OWN_PREFIX) for name in setting.variables):
        return "an error"
    if least := AT_LEAST.get(setting.field):
        return f"what is less is {_shown(least)}; else not given"
    return OTHERWISE.get(setting.field, "not given")


def _in_text(setting: Setting, written: str) -> Forgiven | None:
    match setting.field:
        case field if least := AT_LEAST.get(field):
            span = parse_duration(written)
            return Forgiven(least, f"{_shown(least)} is used") if span and span < least else IGNORED
        case "available_logging_drivers":
            is_list = not _is_unreadable(setting.kind, written) and isinstance(setting.kind.from_text(written), list)
            return None if is_list else IGNORED
        case "log_rollover_type":
            return Forgiven("hourly", "hourly is used")
        case "nonecs_num_containers_delete_per_cycle":
            return UNBOUNDED if re.fullmatch(r"-[0-9]*[1-9][0-9]*", written.strip()) else IGNORED
        case field if known := WORDS_THAT_COUNT.get(field):
            kept = () if _is_unreadable(setting.kind, written) else _known(setting.kind.from_text(written), known)
            return Forgiven(kept, f"{', '.join(kept)} is used") if kept else IGNORED
        case _:
            return IGNORED


def _in_json(setting: Setting, written: object) -> Forgiven | None:
    """A value of another type than the key wants ends the start; of one that is out of bounds it depends."""
    is_beyond = isinstance(written, int) and not -MOST_IN_GO <= written < MOST_IN_GO
    if setting.field in NEVER_IN_JSON or setting.field.startswith("reserved_") or is_beyond:
        return None
    return _in_json_of_its_type(setting, written)


def _in_json_of_its_type(setting: Setting, written: object) -> Forgiven | None:
    is_number = isinstance(written, int) and not isinstance(written, bool)
    if setting.field == "nonecs_num_containers_delete_per_cycle" and isinstance(written, int) and written < 0:
        return UNBOUNDED
    if setting.field in UNBOUNDED_IN_JSON and isinstance(written, int) and is_number and written > 0:
        return Forgiven(timedelta(microseconds=written / 1000), "it is used as it is")
    if setting.field == "engine_auth_data" or (setting.field in PASSED_OVER_IN_JSON and isinstance(written, str)):
        return IGNORED
    if setting.field == "exclude_untracked_image" and isinstance(written, list):
        if not all(isinstance(image, str) for image in written):
            return None
        return Forgiven(tuple(filter(None, map(str.strip, written))), "what is blank in it is left out")
    if known := WORDS_THAT_COUNT.get(setting.field):
        kept = _known(written, known)
        return Forgiven(kept, f"{', '.join(kept)} is used") if kept else IGNORED
    return IGNORED if is_number and setting.kind.number_in_json else None


def _is_unreadable(kind: Kind, written: str) -> bool:
    try:
        kind.from_text(written)
    except ValueError:
        return True
    return False


def _known(written: object, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in written if word in known) if isinstance(written, list) else ()


def _shown(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
