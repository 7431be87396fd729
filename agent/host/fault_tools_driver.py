"""Looks whether this machine has what faults in networks are made with."""

import shutil
import subprocess
from collections.abc import Sequence

from agent.host import faults
from agent.host.faults import IPV4
from agent.host.networks_driver import SEARCHED, Network, Refused

TOOLS = (IPV4, "tc", "nsenter", "unshare")
TRIALS = (
    ("netem in the kernel", ("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")),
    ("a tc that prints JSON", faults.look("lo")),
)
"""What is tried, in a network that is thrown away where it changes something: a kernel loads what it has on request."""


def lacking(search: str = SEARCHED) -> Sequence[str]:
    """What this machine has not that faults need; nothing where all of them can be made."""
    if lacks := [tool for tool in TOOLS if shutil.which(tool, path=search) is None]:
        return lacks
    host = Network((0, 0), host=True, devices=())
    for what, command in TRIALS:
        try:
            printed = host.run(command)
            faults.flaw(printed)
        except (Refused, ValueError, subprocess.TimeoutExpired) as error:
            lacks.append(f"{what} ({error})")
    return lacks
