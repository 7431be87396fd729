"""What the two settings for logins must hold together: the type, and under each registry what the type asks for.

No complaint shows a value. Names of registries are no secrets; what stands under them is.
"""

import base64
import binascii
from collections.abc import Mapping

from agent.model.errors import BadInput

TYPE, DATA = "ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA"
DOCKERCFG, DOCKER = "dockercfg", "docker"

Login = tuple[str, str, str]
"""User, password, identity token."""


def read(kind: str, given: Mapping[str, object]) -> dict[str, Login]:
    """The logins by registry. Raises BadInput with the name of the setting that broke its rule."""
    if not kind:
        if given:
            raise BadInput(TYPE, f"must be {DOCKERCFG} or {DOCKER}, because {DATA} is given")
        return {}
    if kind not in (DOCKERCFG, DOCKER):
        raise BadInput(TYPE, f"must be {DOCKERCFG} or {DOCKER}")
    if not given:
        raise BadInput(DATA, f"must be given, because {TYPE} is")
    return {key: _login(kind, f'{DATA}["{key}"]', entry) for key, entry in given.items()}


def _login(kind: str, where: str, entry: object) -> Login:
    if not isinstance(entry, dict):
        raise BadInput(where, "must be an object")
    token = _text(where, entry, "identitytoken")
    if kind == DOCKERCFG:
        user, password = _decoded(where, _text(where, entry, "auth"))
    else:
        user, password = _text(where, entry, "username"), _text(where, entry, "password")
    if not token and not (user and password):
        raise BadInput(where, "must hold auth" if kind == DOCKERCFG else "must hold username and password")
    return user, password, token


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
