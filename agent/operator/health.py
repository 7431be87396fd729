"""Whether the agent can do its work now: what it needs, and what is wrong with it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

READY, NOT_READY = 200, 503

View = dict[str, object]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that the agent needs, and what is wrong with it; nothing is where that is empty."""

    name: str
    trouble: str = ""
    is_vital: bool = True
    """Can the agent do nothing without it? What is not vital is shown, and changes no status."""


@dataclass(slots=True)
class Health:
    """Gives what the agent needs to do its work, and what is wrong with it now."""

    docker_answers: Callable[[], bool]
    disk: Callable[[], str]
    gpus: Callable[[], str]
    is_connected: Callable[[], bool] = lambda: False
    others: list[Callable[[], Condition]] = field(default_factory=list)
    """What else is looked at: whoever knows of something that the agent needs puts it here."""

    def __call__(self) -> Sequence[Condition]:
        """The conditions, as they are now. A host whose GPUs fail can do all other work."""
        return (
            Condition("docker", "" if self.docker_answers() else "Docker does not answer"),
            Condition("disk", self.disk()),
            Condition("acs", "" if self.is_connected() else "there is no connection to ECS"),
            Condition("gpus", self.gpus(), is_vital=False),
            *(other() for other in self.others),
        )


def view(conditions: Iterable[Condition]) -> tuple[int, View]:
    """The status and body of an answer: 200 if nothing is wrong that is vital, or else 503."""
    all_of_them = tuple(conditions)
    is_ready = not any(one.trouble and one.is_vital for one in all_of_them)
    shown: View = {one.name: {"ok": not one.trouble, **_reason(one)} for one in all_of_them}
    return READY if is_ready else NOT_READY, {"ready": is_ready, **shown}


def _reason(condition: Condition) -> dict[str, str]:
    return {"reason": condition.trouble} if condition.trouble else {}
