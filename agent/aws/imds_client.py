"""Instance metadata of EC2, by its second version (a token first).

A machine that has none must start at once: connections get a quarter of a second, and where nobody has ever answered,
nobody is asked again. On EC2 itself that would be wrong, because the network may come up after us; whoever knows the
machine to be an EC2 instance sets `patience`. Absence is never an error: every question has an empty answer, but for
notices, which come and go, and of which it must be known whether they were looked for.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp
import msgspec
from structlog import get_logger

from agent.aws.endpoints import REGION
from agent.model.errors import GiveUp, TryAgain

log = get_logger()

IPV4 = "http://169.254.169.254"
IPV6 = "http://[fd00:ec2::254]"
TIMEOUT = aiohttp.ClientTimeout(total=5.0, sock_connect=0.25, sock_read=0.5)
TOKEN = re.compile(r"[!-~]+")
"""What a token looks like. A page that asks somebody to log in, which some networks give to everyone, does not."""
TOKEN_SECONDS = "300"  # noqa: S105  how long a token lives, not a token
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105  a header's name
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
OK, UNAUTHORIZED, MISSING, BROKEN = 200, 401, 404, 500
NEVER = frozenset({403, 404})
"""There is no such thing, or the operator has switched the service off: another try will not help."""
NO_TOKENS_HERE = frozenset({403, 404, 405})
"""Answers of a service that knows only the first version, or offers tokens to nobody."""

PASSING = frozenset({0, 429, 500, 502, 503, 504})
"""A notice may be asked for again after these; 0 is no answer at all."""

DOCUMENT = "dynamic/instance-identity/document"
SPOT_ACTION = "spot/instance-action"
REBALANCE = "events/recommendations/rebalance"
LIFECYCLE = "autoscaling/target-lifecycle-state"
"""Notices, below ``meta-data``."""


@dataclass(frozen=True, slots=True)
class ImdsSettings:
    """Where instance metadata is. `patience` is how many seconds a question may be repeated for."""

    endpoint: str = IPV4
    disabled: bool = False
    patience: float = 0.0

    @classmethod
    def read(cls, environ: Mapping[str, str], patience: float = 0.0) -> Self:
        """What the ``AWS_EC2_METADATA_*`` variables say, with the meaning that AWS's own clients give them."""
        modern = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
        endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or (IPV6 if modern else IPV4)
        return cls(endpoint.rstrip("/"), environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true", patience)


@dataclass(frozen=True, slots=True)
class Interface:
    """Where the primary network interface is. Empty outside of a VPC."""

    mac: str = ""
    vpc_id: str = ""
    subnet_id: str = ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the machine stands, as far as EC2 says so. `outpost_arn` is empty in a region."""

    zone_id: str = ""
    outpost_arn: str = ""
    interface: Interface = Interface()


class Unanswered(Exception):
    """The service did not answer, or not with what was asked for. Not an error by itself: most machines have none.

    `reached` if somebody took the connection; `status` is 0 where there was no answer.
    """

    def __init__(self, text: str, status: int = 0, *, reached: bool = True) -> None:
        super().__init__(text)
        self.status = status
        self.reached = reached

    @property
    def again(self) -> bool:
        """Does another try make sense?"""
        return self.status not in NEVER


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    region: str = ""
    availability_zone: str = ""
    instance_id: str = ""


class ImdsClient:
    """Asks the instance metadata service. Never through a proxy; answers ``""`` where there is nothing to know."""

    def __init__(
        self,
        settings: ImdsSettings,
        session: aiohttp.ClientSession,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._session = session
        self._monotonic = monotonic
        self._sleep = sleep
        self._token = ""
        self._token_until = 0.0
        self._has_answered = False
        self._first_asked_at: float | None = None
        self._is_absent = settings.disabled
        self._region = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ImdsSettings) -> AsyncIterator[Self]:
        """A client with connections of its own."""
        async with aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield cls(settings, session)

    def is_absent(self) -> bool:
        """Is it known that there is no such service, or that it is not to be asked?"""
        return self._is_absent

    @property
    def patience(self) -> float:
        """Seconds for which a question may be repeated."""
        return self._settings.patience

    async def instance_id(self) -> str:
        """The EC2 instance's id."""
        return await self._line("instance-id")

    async def region(self, *, by_document: bool = True) -> str:
        """The region that the machine is in. Asked for once; the document that proves it may be left alone."""
        if not self._region and by_document:
            document = await self.get(DOCUMENT)
            try:
                self._region = _region(msgspec.json.decode(document, type=_Document).region) if document else ""
            except msgspec.DecodeError as error:
                log.warning("identity_document_unreadable", error=str(error))
        self._region = self._region or _region(await self._line("placement/region"))
        return self._region

    async def whereabouts(self) -> Whereabouts:
        """Where the machine stands. Whatever cannot be found out is empty."""
        return Whereabouts(
            await self._line("placement/availability-zone-id"), await self._line("outpost-arn"), await self.interface()
        )

    async def availability_zone(self) -> str:
        """The name of the availability zone, such as ``us-east-1a``."""
        return await self._line("placement/availability-zone")

    async def addresses(self) -> tuple[str, str]:
        """The private and the public IPv4 address of the machine."""
        return await self._line("local-ipv4"), await self._line("public-ipv4")

    async def ipv6(self) -> str:
        """The IPv6 address of the machine."""
        return await self._line("ipv6")

    async def interface(self) -> Interface:
        """The primary network interface, its VPC and its subnet."""
        mac = await self._line("mac")
        if not mac:
            return Interface()
        path = f"network/interfaces/macs/{mac}"
        return Interface(mac, await self._line(f"{path}/vpc-id"), await self._line(f"{path}/subnet-id"))

    async def get(self, path: str) -> str:
        """The text at *path* under ``/latest/``, verbatim; ``""`` if there is none, or no service."""
        give_up_at, wait = self._give_up_at(), FIRST_WAIT
        while not self._is_absent:
            try:
                return await self.ask(path)
            except Unanswered as error:
                if not error.again or self._monotonic() + wait > give_up_at:
                    log.info("instance_metadata_missing", path=path, error=str(error))
                    return ""
            await self._sleep(wait)
            wait = min(LONGEST_WAIT, wait * 2)
        return ""

    def _give_up_at(self) -> float:
        """A service that has never answered is waited for once, and not once a question."""
        now = self._monotonic()
        if self._first_asked_at is None or self._has_answered:
            self._first_asked_at = now
        return self._first_asked_at + self._settings.patience

    async def notice(self, path: str) -> str:
        """What is at *path* below ``meta-data`` now, asked once; ``""`` while there is nothing.

        Raises TryAgain where that could not be found out now, GiveUp where it is refused or nobody is there to ask.
        """
        try:
            if not self._is_absent:
                return (await self.ask(f"meta-data/{path}")).strip()
        except Unanswered as error:
            if error.status == MISSING:
                return ""
            if error.status not in PASSING:
                raise GiveUp("InstanceMetadataRefused", str(error)) from error
            if not self._is_absent:
                raise TryAgain(str(error)) from error
        raise GiveUp("NoInstanceMetadata", f"there is no instance metadata at {self._settings.endpoint}")

    async def _line(self, path: str) -> str:
        return (await self.get(f"meta-data/{path}")).strip()

    async def ask(self, path: str) -> str:
        """The text at *path* under ``/latest/``, asked for once. Raises Unanswered."""
        token = await self._valid_token()
        status, text, _ = await self._send("GET", path, {TOKEN_HEADER: token} if token else {})
        if status == UNAUTHORIZED:
            self._token_until = 0.0
            token = await self._valid_token()
            status, text, _ = await self._send("GET", path, {TOKEN_HEADER: token} if token else {})
        if status == OK:
            return text
        raise Unanswered(f"{path} answered with status {status}", status)

    async def _valid_token(self) -> str:
        if self._monotonic() < self._token_until:
            return self._token
        asked_at = self._monotonic()
        try:
            status, text, lifetime = await self._send("PUT", "api/token", {TTL_HEADER: TOKEN_SECONDS})
        except Unanswered as error:
            if not error.reached:
                # Without patience, nobody at the address means nobody will ever be; unless somebody was there before.
                self._is_absent = self._settings.patience <= 0 and not self._has_answered
                raise
            status, text, lifetime = min(NO_TOKENS_HERE), "", ""  # a hop too many: the first version may get through
        if status == OK:
            if not TOKEN.fullmatch(text.strip()):
                raise Unanswered("no token: what came in its place is none")
            self._token = text.strip()
        elif status in NO_TOKENS_HERE:
            self._token = ""
        else:
            raise Unanswered(f"no token: status {status}", status)
        self._token_until = asked_at + (float(lifetime) if lifetime.isdecimal() else float(TOKEN_SECONDS))
        return self._token

    async def _send(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str, str]:
        url = f"{self._settings.endpoint}/latest/{path}"
        try:
            async with self._session.request(
                method, url, headers=headers, timeout=TIMEOUT, allow_redirects=False
            ) as response:
                text = await response.text(errors="replace")  # user data may be anything, and may hold secrets
                self._has_answered = self._has_answered or response.status < BROKEN
                return response.status, text, response.headers.get(TTL_HEADER, "")
        except aiohttp.ClientConnectorError as error:
            raise Unanswered(f"nobody at {self._settings.endpoint}: {_said(error)}", reached=False) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise Unanswered(f"nobody at {self._settings.endpoint} within a moment", reached=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(f"no answer from {self._settings.endpoint}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What *error* says. Its `repr` may hold the headers of the request, and so the token."""
    return f"{type(error).__name__} {error}".strip()


def _region(text: str) -> str:
    """*text*, if it is the name of a region."""
    if text and not REGION.fullmatch(text):
        log.warning("region_unreadable", region=text[:100])
        return ""
    return text
