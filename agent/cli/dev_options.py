"""What ``dockworker dev`` was asked to do."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.cli.listen import Address
from agent.controlplane.roles import RoleSource


class Purpose(StrEnum):
    """What `dev` is started for."""

    STAY = "stay"
    SAMPLE = "sample"
    DEMO = "demo"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `dev`."""

    data: Path
    listen: Address
    region: str
    account: str
    purpose: Purpose
    stop_line: str = ""
    """What to tell a person who wants to stop the tasks that are left; empty makes one up."""
    roles: RoleSource = RoleSource.LOCAL
    """Where the credentials of roles come from."""
