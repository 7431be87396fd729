"""The values of credentials, in memory only.

Rows, events and logs carry ids. What has an id here but no value was saved by an earlier process: ACS is asked to send
it again.
"""

from collections.abc import Callable, Iterable

from agent.model.credentials import RoleCredentials


class Vault:
    """Credentials by their id. `saved_ids` gives the ids that the rows of live tasks carry."""

    def __init__(self, saved_ids: Callable[[], Iterable[str]]) -> None:
        self._saved_ids = saved_ids
        self._values: dict[str, RoleCredentials] = {}

    def put(self, credentials: RoleCredentials) -> None:
        """Keep the values under their id, in place of older ones."""
        self._values[credentials.credentials_id] = credentials

    def get(self, credentials_id: str) -> RoleCredentials | None:
        """The values behind an id; None until they arrive."""
        return self._values.get(credentials_id)

    def is_missing_any(self) -> bool:
        """Is there a saved id without a value?"""
        return any(known not in self._values for known in self._saved_ids())

    def forget(self, ids: Iterable[str]) -> None:
        """Drop the values under *ids* that no live task uses."""
        held = self._values.keys() & set(ids)
        for unused in held - set(self._saved_ids()) if held else ():
            del self._values[unused]

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} credentials)"
