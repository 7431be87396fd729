"""What a setting is: its variable, its key in ``config.toml``, what it may hold, and one line of help.

The key follows from the variable: ``ECS_X_Y`` is ``ecs.x_y``, ``AWS_X_Y`` is ``aws.x_y``, and ours, ``DOCKWORKER_X_Y``,
is ``x.y``. Defaults stand in `Settings`.
"""

from dataclasses import dataclass
from datetime import timedelta

from agent.config import kinds
from agent.config.kinds import Kind

OWN_PREFIX = "DOCKWORKER_"
SECOND = kinds.duration(timedelta(seconds=1), "1s")
ANY_TIME = kinds.duration(timedelta(0), "0s")
MINUTE = kinds.duration(timedelta(minutes=1), "1m")
PER_CENT = kinds.whole_number(1, 100, " per cent")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `variables` are read in order; the first that is set counts."""

    field: str
    variables: tuple[str, ...]
    kind: Kind
    says: str
    secret: bool = False
    """True if no complaint may show the value."""
    json: str = ""
    """Its key in the JSON file and the user data of the reference agent, where it has one."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The dotted TOML keys, one for each variable."""
        return tuple(key_of(variable) for variable in self.variables)


@dataclass(frozen=True, slots=True)
class Deviation:
    """Where we part from the reference agent on purpose."""

    about: str
    theirs: str
    ours: str


def key_of(variable: str) -> str:
    """The TOML key that means the same as *variable*."""
    if variable.startswith(("NON_ECS_", "NONECS_")):
        return f"ecs.{variable.lower()}"
    section, _, key = variable.removeprefix(OWN_PREFIX).lower().partition("_")
    return f"{section}.{key}"


def row(field: str, variables: str, kind: Kind, says: str, *, secret: bool = False, json: str = "") -> Setting:
    """A setting whose *variables* have spaces between."""
    return Setting(field, tuple(variables.split()), kind, says, secret, json)
