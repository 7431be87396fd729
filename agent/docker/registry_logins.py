"""Logins for registries: those that the operator gave to the host, and how one is shown to Docker.

`ECS_ENGINE_AUTH_TYPE` says which of two forms `ECS_ENGINE_AUTH_DATA` has: ``dockercfg`` is what Docker's own client
keeps (user name and password as one base64 text), ``docker`` has them as two plain texts. No complaint shows a value.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.docker.references import HUB, Reference
from agent.model.credentials import RegistryLogin
from agent.model.errors import BadInput

TYPE, DATA = "ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA"
DOCKERCFG, DOCKER = "dockercfg", "docker"

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
    if not kind:
        if given:
            raise BadInput(TYPE, f"must be {DOCKERCFG} or {DOCKER}, because {DATA} is given")
        return NO_LOGINS
    if kind not in (DOCKERCFG, DOCKER):
        raise BadInput(TYPE, f"must be {DOCKERCFG} or {DOCKER}")
    if not given:
        raise BadInput(DATA, f"must be given, because {TYPE} is")
    return RegistryLogins({_place(key): _login(kind, key, entry) for key, entry in given.items()})


def header(login: RegistryLogin | None) -> str:
    """The value of ``X-Registry-Auth``; without a login it is what Docker's own client sends then."""
    shown: dict[str, str] = {}
    if login is not None:
        parts = {"username": login.username, "password": login.password, "identitytoken": login.identity_token}
        shown = {name: part for name, part in (parts | {"serveraddress": login.server}).items() if part}
    return base64.urlsafe_b64encode(json.dumps(shown).encode()).decode()


def _login(kind: str, key: str, entry: object) -> RegistryLogin:
    """One entry. Keys of registries are no secrets; what stands under them is."""
    where = f'{DATA}["{key}"]'
    if not isinstance(entry, dict):
        raise BadInput(where, "must be an object")
    token = _text(where, entry, "identitytoken")
    if kind == DOCKERCFG:
        user, password = _decoded(where, _text(where, entry, "auth"))
    else:
        user, password = _text(where, entry, "username"), _text(where, entry, "password")
    if not token and not (user and password):
        raise BadInput(where, "must hold auth" if kind == DOCKERCFG else "must hold username and password")
    return RegistryLogin(user, password, token, _HUB_SERVER if _place(key) == HUB else key)


def _text(where: str, entry: Mapping[object, object], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise BadInput(f"{where}.{name}", "must be text")
    return value


def _decoded(where: str, auth: str) -> tuple[str, str]:
    if not auth:
        return "", ""
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().strip("\0").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:  # outside of the except: what Python says of the bytes would show them
        raise BadInput(f"{where}.auth", "must be base64 of user:password")
    return user, password


def _place(key: str) -> str:
    """The part of a reference that *key* stands for: no scheme, no version of the API, one name for Docker Hub."""
    bare = key.partition("://")[2] or key
    bare = bare.rstrip("/")
    for version in ("/v1", "/v2"):
        bare = bare.removesuffix(version)
    host, slash, rest = bare.partition("/")
    return f"{HUB if host in _HUB_NAMES else host}{slash}{rest}"
