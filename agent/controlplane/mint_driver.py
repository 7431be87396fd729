"""Where the values of roles come from: our own seal, the keys of this host, or STS.

The last two may block for seconds: they are asked in threads (mint_loop.py). Texts of errors hold what STS said, and
of anything else only its kind: a program that fetches keys may print them.
"""

import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.config import Config
from botocore.credentials import Credentials, EnvProvider, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReached
from botocore.session import Session

from agent.controlplane import arns
from agent.controlplane.role_keys import seal
from agent.controlplane.roles import LIFE, CannotMint, Role, RoleKeys, RoleSource

CONNECT_WITHIN, ANSWER_WITHIN, ATTEMPTS = 5.0, 10.0, 2
"""Seconds and times that STS is given. The loop of mint_loop.py asks again after that."""
DRAWN = 9


class Source(Protocol):
    """Makes values."""

    blocks: bool

    def keys(self, role: Role, now: datetime) -> RoleKeys:
        """Values for *role*. Raises CannotMint."""
        ...


class LocalSource:
    """Our own keys: at hand at once, and nothing of them is kept."""

    blocks = False

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def keys(self, role: Role, now: datetime) -> RoleKeys:
        """Values for *role*."""
        return seal(self._secret, role, now + LIFE, secrets.token_urlsafe(DRAWN))


class HostSource:
    """The keys of whoever runs the control plane, the same for every role. *find* looks for them as AWS's tools do."""

    blocks = True

    def __init__(self, find: Callable[[], Session] = Session) -> None:
        self._find = find

    def keys(self, role: Role, now: datetime) -> RoleKeys:  # noqa: ARG002  # every role gets the same
        """The keys that are there. Raises CannotMint."""
        try:
            found: Credentials | None = self._find().get_credentials()
            if found is None:
                raise CannotMint("this host has no AWS credentials")
            frozen = found.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: keys that could not be renewed
            raise CannotMint(f"the AWS credentials of this host cannot be read: {said(error)}") from error
        expires_at = now + LIFE
        if isinstance(found, RefreshableCredentials):
            expires_at = getattr(found, "_expiry_time", None) or expires_at  # botocore tells it in no other way
        if not frozen.access_key or not frozen.secret_key:
            raise CannotMint("the AWS credentials of this host are empty")
        return RoleKeys(frozen.access_key, frozen.secret_key, frozen.token or "", expires_at.astimezone(UTC))


class AssumeSource:
    """STS's AssumeRole, called with the keys of this host. After a failure everything is looked up afresh."""

    blocks = True

    def __init__(self, find: Callable[[], Session] = Session) -> None:
        self._find = find
        self._clients: dict[str, Any] = {}
        self._guard = threading.Lock()

    def keys(self, role: Role, now: datetime) -> RoleKeys:  # noqa: ARG002  # STS has a clock of its own
        """Values that STS gives. Raises CannotMint."""
        region = arns.region_of(role.task)
        try:
            answer = self._client(region).assume_role(
                RoleArn=role.role_arn, RoleSessionName=role.task.rpartition("/")[2]
            )
            given = answer["Credentials"]
            expires_at: datetime = given["Expiration"]
            return RoleKeys(
                given["AccessKeyId"],
                given["SecretAccessKey"],
                given["SessionToken"],
                expires_at.astimezone(UTC),
            )
        except (BotoCoreError, ClientError, RuntimeError, LookupError, AttributeError) as error:
            with self._guard:
                self._clients.pop(region, None)
            raise CannotMint(f"STS did not assume the role: {said(error)}") from error

    def _client(self, region: str) -> Any:  # noqa: ANN401  # made from a model, at run time
        """One client for all: it may be shared by threads, but not made by two at once."""
        with self._guard:
            if region not in self._clients:
                patience = Config(
                    connect_timeout=CONNECT_WITHIN,
                    read_timeout=ANSWER_WITHIN,
                    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                )
                self._clients[region] = self._find().create_client("sts", region_name=region, config=patience)
            return self._clients[region]


def source_of(kind: RoleSource, secret: bytes, find: Callable[[], Session] = Session) -> Source:
    """The source that a setting names."""
    match kind:
        case RoleSource.LOCAL:
            return LocalSource(secret)
        case RoleSource.HOST:
            return HostSource(find)
        case RoleSource.ASSUME:
            return AssumeSource(find)


def chain_as_it_is() -> Callable[[], Session]:
    """Gives the keys of this process's environment as it is now, whatever becomes of the environment later.

    Where there are none now, variables that come later are not taken for some: they may be somebody else's. Raises
    CannotMint where the chain cannot even be looked at.
    """
    session = Session()
    try:
        session.get_component("credential_provider").get_provider(EnvProvider.METHOD).environ = dict(os.environ)
        session.get_credentials()
    except (BotoCoreError, ClientError, RuntimeError, ValueError) as error:  # ValueError: of a time that is none
        raise CannotMint(f"the AWS credentials of this host cannot be read: {said(error)}") from error
    return lambda: session


def said(error: Exception) -> str:
    """What *error* says, where it can hold no key."""
    if isinstance(error, ClientError):
        return str(error)[:300]
    if isinstance(error, HTTPClientError | NotReached):
        return f"{type(error).__name__}: {error}".partition("?")[0][:300]
    return type(error).__name__
