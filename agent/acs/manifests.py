"""What the engine made of ECS's lists of tasks, kept from the commit until the answer leaves."""

from collections.abc import Iterable

from agent.model.decision import ManifestTaken


class Manifests:
    """Lists that were taken. A list that is not here was not newer than those before it, and gets no answer."""

    def __init__(self) -> None:
        self._taken: dict[str, ManifestTaken] = {}

    def hear(self, taken: Iterable[ManifestTaken]) -> None:
        """Note what a committed decision has taken."""
        self._taken |= {one.message_id: one for one in taken}

    def take(self, message_id: str) -> ManifestTaken | None:
        """What was made of the list called *message_id*. Tells once."""
        return self._taken.pop(message_id, None)
