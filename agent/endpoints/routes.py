"""The paths of metadata: which of them there are, and what each asks for."""

from dataclasses import dataclass, field
from enum import StrEnum, auto

from agent.endpoints.bodies import V2, V3, V4

VERSIONS = {"v3": V3, "v4": V4}


class Kind(StrEnum):
    """What is asked for."""

    CONTAINER = auto()
    TASK = auto()
    TASK_WITH_TAGS = auto()
    STATS = auto()
    TASK_STATS = auto()
    ASSOCIATIONS = auto()
    ASSOCIATION = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `key` is a container's id of metadata; in v2 a Docker id, or empty."""

    version: int
    kind: Kind
    key: str = field(default="", repr=False)
    association: str = ""
    """The type of associations that is asked about."""
    name: str = ""
    """Of one association; may be empty, and then it names none."""

    @property
    def is_of_task(self) -> bool:
        """Is the task asked about, and not one container of it?"""
        return self.kind in (Kind.TASK, Kind.TASK_WITH_TAGS, Kind.TASK_STATS, Kind.ASSOCIATION)


_BEHIND_THE_ID = {
    (): Kind.CONTAINER,
    ("task",): Kind.TASK,
    ("taskWithTags",): Kind.TASK_WITH_TAGS,
    ("stats",): Kind.STATS,
    ("task", "stats"): Kind.TASK_STATS,
}
_OF_V2 = {"metadata": (Kind.TASK, Kind.CONTAINER), "stats": (Kind.TASK_STATS, Kind.STATS)}
"""What is asked for without and with a Docker id."""


def read(path: str) -> Route | None:
    """What a clean *path* asks for; None for one that is another's."""
    root, *parts = path.split("/")
    if root or not parts:
        return None
    if parts[0] == "v2":
        return _second(*parts[1:])
    if parts[0] not in VERSIONS or len(parts) == 1 or not parts[1]:
        return None
    version, key, rest = VERSIONS[parts[0]], parts[1], tuple(parts[2:])
    if rest in _BEHIND_THE_ID:
        return Route(version, _BEHIND_THE_ID[rest], key)
    match rest:
        case ("associations", kind) if kind:
            return Route(version, Kind.ASSOCIATIONS, key, kind)
        case ("associations", kind, *name) if kind:
            return Route(version, Kind.ASSOCIATION, key, kind, "/".join(name))
        case _:
            return None


def _second(what: str = "", docker_id: str = "", *rest: str) -> Route | None:
    if what == "metadataWithTags" and not docker_id and not rest:
        return Route(V2, Kind.TASK_WITH_TAGS)
    if what not in _OF_V2 or rest:
        return None
    of_task, of_container = _OF_V2[what]
    return Route(V2, of_container, docker_id) if docker_id else Route(V2, of_task)
