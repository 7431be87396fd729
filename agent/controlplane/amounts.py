"""CPU and memory of a whole task: text with an optional unit, kept in units and MiB (API: RegisterTaskDefinition)."""

import re
from collections.abc import Callable
from decimal import Decimal

from agent.controlplane.faults import Fault

AMOUNT = re.compile(r"\s*(\d{1,9}|\d{0,9}\.\d{1,6})\s*([a-z]*)\s*", re.IGNORECASE)
UNITS = {"cpu": {"": 1, "vcpu": 1024}, "memory": {"": 1, "mb": 1, "gb": 1024}}
LEAST_CPU = 128
MOST_CPU = 10_240


def read_amount(member: str, text: str, fault: Callable[[str], Fault]) -> int:
    """The amount in *text*, for *member* ``cpu`` or ``memory``. Raises Fault for anything else."""
    found = AMOUNT.fullmatch(text)
    unit = UNITS[member].get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise fault(f"Invalid '{member}' setting for task: {text[:50]!r} is not a number of {_names(member)}")
    amount = int(Decimal(found[1]) * unit)
    if member == "cpu" and not LEAST_CPU <= amount <= MOST_CPU:
        raise fault(f"Invalid 'cpu' setting for task: it must be between {LEAST_CPU} and {MOST_CPU} CPU units")
    if member == "memory" and amount < 1:
        raise fault("Invalid 'memory' setting for task: it must be at least 1 MiB")
    return amount


def _names(member: str) -> str:
    return "CPU units or vCPU" if member == "cpu" else "MiB or GB"
