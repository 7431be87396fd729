"""Logins for registries: those that the operator gave to the host, and how one is shown to Docker.

`ECS_ENGINE_AUTH_TYPE` says which of two forms `ECS_ENGINE_AUTH_DATA` has: ``dockercfg`` is what Docker's own client
keeps (user name and password as one base64 text), ``docker`` has them as two plain texts. No complaint shows a value.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.config import logins
from agent.docker.references import HUB, Reference
from agent.model.credentials import RegistryLogin

_HUB_NAMES = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})
_HUB_SERVER = "https://index.docker.io/v1/"
"""What Docker Hub is called in a login."""


@dataclass(frozen=True, slots=True)
class RegistryLogins:
    """The logins of this host, by registry or by part of one (``registry.example/team``). Prints without them."""

    by_place: Mapping[str, RegistryLogin] = field(default_factory=dict, repr=False)

    def login(self, reference: Reference) -> RegistryLogin | None:
        """The login of the longest place that holds the image."""
        whole = f"{reference.host}/{reference.path}"
        places = [place for place in self.by_place if whole.startswith(f"{place}/") or whole == place]
        return self.by_place[max(places, key=len)] if places else None


NO_LOGINS = RegistryLogins()


def read(kind: str, given: Mapping[str, object]) -> RegistryLogins:
    """The logins that the two settings make. Raises BadInput with the name of the one that broke its rule."""
    by_key = logins.read(kind, given)
    return RegistryLogins(
        {
            _place(key): RegistryLogin(user, password, token, _HUB_SERVER if _place(key) == HUB else key)
            for key, (user, password, token) in by_key.items()
        }
    )


def header(login: RegistryLogin | None) -> str:
    """The value of ``X-Registry-Auth``; without a login it is what Docker's own client sends then."""
    shown: dict[str, str] = {}
    if login is not None:
        parts = {"username": login.username, "password": login.password, "identitytoken": login.identity_token}
        shown = {name: part for name, part in (parts | {"serveraddress": login.server}).items() if part}
    return base64.urlsafe_b64encode(json.dumps(shown).encode()).decode()


def _place(key: str) -> str:
    """The part of a reference that *key* stands for: no scheme, no version of the API, one name for Docker Hub."""
    bare = key.partition("://")[2] or key
    bare = bare.rstrip("/")
    for version in ("/v1", "/v2"):
        bare = bare.removesuffix(version)
    host, slash, rest = bare.partition("/")
    return f"{HUB if host in _HUB_NAMES else host}{slash}{rest}"
