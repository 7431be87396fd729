"""The places where keys are looked for, in order, with botocore's readers.

On EC2 that is what every AWS client does, and then a file that somebody rotates. A machine of ECS Anywhere asks the
rotated file before the files of a user, because only the rotated one stays fresh. No botocore *client* is made, except
by botocore itself to assume a role or to sign on.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from botocore.credentials import (
    CredentialResolver,
    Credentials,
    EnvProvider,
    ReadOnlyCredentials,
    RefreshableCredentials,
    SharedCredentialProvider,
)
from botocore.session import Session
from structlog import get_logger

log = get_logger()

USER_INFO = re.compile(r'//[^\s"]*@')
ROTATED = "rotated-file"
ROTATED_FILES = (Path("/rotatingcreds/credentials"), Path("/root/.aws/credentials"))
"""Where the file is in a container that ecs-init made, and where the SSM agent writes it on the host."""
ASSUMED, WEB_IDENTITY, INSTANCE_ROLE = "assume-role", "assume-role-with-web-identity", "iam-role"
"""botocore's names of places."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where keys may be. What is not said here, the ``AWS_*`` variables say."""

    external: bool = False
    profile: str = "default"
    """In the rotated file."""
    rotated: tuple[Path, ...] = ROTATED_FILES
    imds_endpoint: str = ""
    imds_disabled: bool = False
    region: str = ""
    """Whose STS is asked."""
    ca_file: Path | None = None
    """Whom to trust for STS, in place of botocore's own list."""
    fips: bool = False
    dualstack: bool = False


def find_keys(places: Places, environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """The first keys that there are, asked for once; None where there are none.

    A place that cannot be read does not hide those after it. Where all are empty, the first that could not be read
    raises what was wrong.
    """
    session, broken = _session(places), list[Exception]()
    chain = _external(session, places) if places.external else _usual(session, places, environ)
    for look in chain:
        try:
            found = look()
            if found is not None and _has_keys(freeze(found)):
                return found
        except Exception as error:  # noqa: BLE001 -- botocore lets through what JSON, STS and the system raise
            log.warning("aws_credentials_unreadable", error=said(error), error_type=type(error).__name__)
            broken.append(error)
    if broken:
        raise broken[0]
    return None


def freeze(found: Credentials) -> ReadOnlyCredentials:
    """The keys as they are now, renewed where they end soon.

    Keys that have not ended yet are used though they could not be renewed. botocore judges them by the clock of this
    machine, and gives up where keys that were issued a moment ago seem to have expired: then it is the clock that is
    wrong, and whoever issued them knows better.
    """
    try:
        return found.get_frozen_credentials()
    except Exception as error:
        inner = cast(Any, found)  # noqa: TC006
        frozen: ReadOnlyCredentials | None = getattr(inner, "_frozen_credentials", None)
        if frozen is None or not isinstance(found, RefreshableCredentials):
            raise
        if isinstance(error, RuntimeError):
            log.warning("aws_credentials_seem_expired", method=found.method)
        elif inner.refresh_needed(0):
            raise
        else:
            log.warning("aws_credentials_not_renewed", method=found.method, error=said(error))
        return frozen


def said(error: Exception) -> str:
    """What *error* says, without users and passwords of URLs: botocore hides only those of proxies that it knows."""
    return USER_INFO.sub("//***@", str(error))


def _has_keys(frozen: ReadOnlyCredentials) -> bool:
    return bool(frozen.access_key and frozen.secret_key)


def _session(places: Places) -> Session:
    session = Session()
    wanted: dict[str, object] = {
        "region": places.region,
        "ec2_metadata_service_endpoint": places.imds_endpoint,
        "ca_bundle": str(places.ca_file or ""),
        "use_fips_endpoint": places.fips,
        "use_dualstack_endpoint": places.dualstack,
    }
    for name, value in wanted.items():
        if value:
            session.set_config_variable(name, value)
    return session


Look = Callable[[], Credentials | None]


def _usual(session: Session, places: Places, environ: Mapping[str, str]) -> Iterable[Look]:
    def everywhere() -> Credentials | None:
        resolver = _resolver(session)
        if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):  # beats roles of a profile, as for clients written in Go
            assumed = resolver.get_provider(ASSUMED)
            resolver.remove(ASSUMED)
            resolver.insert_after(WEB_IDENTITY, assumed)
        if places.imds_disabled:
            resolver.remove(INSTANCE_ROLE)
        return resolver.load_credentials()

    yield everywhere
    yield lambda: _rotated(places)


def _external(session: Session, places: Places) -> Iterable[Look]:
    yield EnvProvider().load
    yield lambda: _rotated(places)
    yield lambda: _shared(session)
    if not places.imds_disabled:
        yield lambda: cast(Credentials | None, _resolver(session).get_provider(INSTANCE_ROLE).load())  # noqa: TC006


def _resolver(session: Session) -> CredentialResolver:
    return cast(CredentialResolver, session.get_component("credential_provider"))  # noqa: TC006


def _rotated(places: Places) -> Credentials | None:
    for path in places.rotated:
        found = SharedCredentialProvider(str(path), places.profile).load()
        if found is not None:
            return Credentials(found.access_key, found.secret_key, found.token, method=ROTATED)
    return None


def _shared(session: Session) -> Credentials | None:
    file = str(session.get_config_variable("credentials_file"))
    return SharedCredentialProvider(file, session.get_config_variable("profile") or "default").load()
