"""Looks whether this machine has what faults in networks are made with."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.host import faults
from agent.host.faults import IPV4
from agent.host.networks_driver import SEARCHED, Network, Refused

TOOLS = (IPV4, "tc", "nsenter")
MODULES = Path("/lib/modules")
LOADED = Path("/sys/module")
NETEM = "sch_netem"


def lacking(modules: Path = MODULES, loaded: Path = LOADED, search: str = SEARCHED) -> Sequence[str]:
    """What this machine has not that faults need; nothing where all of them can be made."""
    lacks = [tool for tool in TOOLS if shutil.which(tool, path=search) is None]
    if not _has_module(modules / os.uname().release, loaded):
        lacks.append(f"the kernel module {NETEM}")
    if not lacks:
        probe = Network((0, 0), host=True, devices=())
        try:
            faults.flaw(probe.run(faults.look("lo")))
        except (Refused, ValueError, subprocess.TimeoutExpired) as error:
            lacks.append(f"a tc that prints JSON ({error})")
    return lacks


def _has_module(modules: Path, loaded: Path) -> bool:
    if (loaded / NETEM).exists():
        return True
    for name in ("modules.builtin", "modules.dep"):
        with suppress(OSError):
            if any(f"/{NETEM}.ko" in line.partition(":")[0] for line in (modules / name).read_text().splitlines()):
                return True
    return False
