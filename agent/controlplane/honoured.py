"""What is asked for and not there yet is refused by name, never left out in silence."""

from collections.abc import Mapping

from agent.controlplane.faults import unsupported


def words(text: str) -> frozenset[str]:
    """The words of *text*: a list of members that reads like one."""
    return frozenset(text.split())


def refuse_the_rest(given: Mapping[str, object], honoured: frozenset[str], where: str) -> None:
    """Raise Fault for the first member that is set (an empty or false one asks for nothing) and not *honoured*."""
    for member, value in given.items():
        if value and member not in honoured:
            raise unsupported(f"{member} {where}")
