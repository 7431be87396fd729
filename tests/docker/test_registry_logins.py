import base64
import json

import pytest

from agent.docker import references, registry_logins
from agent.model.credentials import RegistryLogin
from agent.model.errors import BadInput
from agent.model.names import Image

SECRET = "hush-hush"


def plain(user: str) -> dict[str, str]:
    return {"username": user, "password": SECRET}


def packed(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode(), "email": "not@example"}


def user_for(image: str, given: dict[str, object], kind: str = "docker") -> str | None:
    login = registry_logins.read(kind, given).login(references.read(Image(image)))
    assert login is None or login.password == SECRET
    return login.username if login else None


@pytest.mark.parametrize("kind", ["docker", "dockercfg"])
def test_both_forms_hold_user_and_password(kind: str) -> None:
    entry = plain("me") if kind == "docker" else packed("me")

    assert user_for("r.example/app:1", {"r.example": entry}, kind) == "me"


def test_a_password_may_hold_colons() -> None:
    logins = registry_logins.read("dockercfg", {"r.example": packed("me", "a:b:c")})

    assert logins.login(references.read(Image("r.example/app"))) == RegistryLogin("me", "a:b:c", server="r.example")


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("r.example/app:1", "all"),
        ("r.example/team/app:1", "team"),
        ("r.example/team", "team"),
        ("r.example/teams/app", "all"),
        ("r.example:5000/app", "port"),
        ("s.example/app", None),
        ("busybox", "hub"),
        ("library/busybox", "hub"),
        ("docker.io/busybox:1", "hub"),
        ("me/app", "hub"),
    ],
)
def test_the_longest_place_that_holds_the_image_counts(image: str, user: str | None) -> None:
    given: dict[str, object] = {
        "r.example": plain("all"),
        "https://r.example/team/": plain("team"),
        "http://r.example:5000/v2/": plain("port"),
        "https://index.docker.io/v1/": plain("hub"),
    }

    assert user_for(image, given) == user


def test_docker_is_shown_the_login_and_always_something() -> None:
    def shown(login: RegistryLogin | None) -> object:
        return json.loads(base64.urlsafe_b64decode(registry_logins.header(login)))

    assert shown(None) == {}
    assert shown(RegistryLogin("me", "p?>", server="r.example")) == {
        "username": "me",
        "password": "p?>",
        "serveraddress": "r.example",
    }
    assert shown(RegistryLogin(identity_token="t")) == {"identitytoken": "t"}
    hub = registry_logins.read("docker", {"docker.io": plain("me")}).login(references.read(Image("busybox")))
    assert hub is not None
    assert hub.server == "https://index.docker.io/v1/"


@pytest.mark.parametrize(
    ("kind", "given", "complaint"),
    [
        ("", {"r": plain("me")}, "ECS_ENGINE_AUTH_TYPE: must be dockercfg or docker"),
        ("other", {"r": plain("me")}, "ECS_ENGINE_AUTH_TYPE: must be dockercfg or docker"),
        ("docker", {}, "ECS_ENGINE_AUTH_DATA: must be given"),
        ("docker", {"r": SECRET}, 'ECS_ENGINE_AUTH_DATA["r"]: must be an object'),
        ("docker", {"r": {"username": "me"}}, 'ECS_ENGINE_AUTH_DATA["r"]: must hold username and password'),
        ("docker", {"r": {"username": "me", "password": [SECRET]}}, 'ECS_ENGINE_AUTH_DATA["r"].password: must be text'),
        ("dockercfg", {"r": plain("me")}, 'ECS_ENGINE_AUTH_DATA["r"]: must hold auth'),
        ("dockercfg", {"r": {"auth": f"{SECRET}!"}}, 'ECS_ENGINE_AUTH_DATA["r"].auth: must be base64 of user:password'),
        ("dockercfg", {"r": {"auth": "aHVzaC1odXNo"}}, 'ECS_ENGINE_AUTH_DATA["r"].auth: must be base64 of user:pass'),
    ],
)
def test_a_complaint_names_the_setting_and_the_rule_and_never_the_value(
    kind: str, given: dict[str, object], complaint: str
) -> None:
    with pytest.raises(BadInput) as told:
        registry_logins.read(kind, given)

    assert str(told.value).startswith(complaint)
    assert SECRET not in repr(told.value)
    assert told.value.__context__ is None


def test_logins_print_without_what_they_hold() -> None:
    logins = registry_logins.read("docker", {"r.example": plain("me")})

    assert SECRET not in repr(logins)
    assert SECRET not in repr(logins.login(references.read(Image("r.example/app"))))


def test_nothing_given_is_no_login() -> None:
    assert registry_logins.read("", {}).login(references.read(Image("busybox"))) is None
