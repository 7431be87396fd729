"""The tags of this EC2 instance, by DescribeTags: a call of the Query kind, answered in XML (Amazon EC2 API)."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import aiohttp
from structlog import get_logger

from agent.aws.credentials_client import Keys
from agent.aws.failures import REFUSED_KEYS, EcsError, WrongDate
from agent.aws.retry import wait_after
from agent.aws.roads_client import Roads
from agent.aws.server_time_driver import SKEWED, ServerTime
from agent.aws.signing import signed_headers
from agent.model.errors import TryAgain

log = get_logger()

SERVICE = "ec2"
API_VERSION = "2016-11-15"
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
ATTEMPTS = 5
PAGE = 50
RESERVED = "aws:"
TIMEOUT = aiohttp.ClientTimeout(total=42, sock_connect=30)
PATIENCE = 126.0
"""Seconds for one question, its pages and repeats included."""
LARGEST = 1024 * 1024
"""Bytes of an answer; an instance has some fifty tags."""
OK = 200
UNREADABLE = (ET.ParseError, LookupError, ValueError)
"""What reading XML raises; the last two over an encoding that there is not, or that is none for texts."""

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ec2Settings:
    """Which EC2 to talk to."""

    url: str
    region: str
    user_agent: str = ""


class Ec2Client:
    """Asks EC2. Failures are TryAgain: whoever asks decides what they end."""

    def __init__(
        self,
        settings: Ec2Settings,
        session: aiohttp.ClientSession,
        keys: Keys,
        *,
        proxy: str | None = None,
        server_time: ServerTime | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/") + "/"
        self._session = session
        self._keys = keys
        self._proxy = proxy
        self._time = server_time or ServerTime()
        self._sleep = sleep
        self._draw = draw

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Ec2Settings, keys: Keys, *, roads: Roads | None = None, server_time: ServerTime | None = None
    ) -> AsyncIterator[Self]:
        """A client with connections of its own. Raises BadInput where a proxy is of no kind that we know."""
        connector, proxy = (roads or Roads()).to_call(settings.url)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, cookie_jar=jar) as session:
            yield cls(settings, session, keys, proxy=proxy, server_time=server_time)

    async def tags(self, instance_id: str) -> Tags:
        """All tags of *instance_id*, however many pages they fill, without those that AWS made. Raises TryAgain."""
        asked = {
            "Action": "DescribeTags",
            "Version": API_VERSION,
            "Filter.1.Name": "resource-id",
            "Filter.1.Value.1": instance_id,
            "Filter.2.Name": "resource-type",
            "Filter.2.Value.1": "instance",
            "MaxResults": str(PAGE),
        }
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._all_pages(asked)
        except TimeoutError as error:
            raise TryAgain("EC2 does not tell the tags of this instance in time") from error
        return tuple((key, value) for key, value in found.items() if not is_reserved(key, value))

    async def _all_pages(self, asked: Mapping[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        seen: set[str] = set()
        page = ""
        while True:
            tags, page = read_tags(await self._call({**asked, **({"NextToken": page} if page else {})}))
            found.update(tags)
            if not page or page in seen:
                return found
            seen.add(page)

    async def _call(self, asked: Mapping[str, str]) -> bytes:
        body = urlencode(asked).encode()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._dated(body)
            except EcsError as error:
                wait = wait_after(attempt, ATTEMPTS, error, self._draw())
                if wait is None:
                    raise TryAgain(f"EC2 does not tell the tags of this instance: {error}", error.code) from error
                log.info("ec2_call_retried", attempt=attempt, wait=round(wait, 3), error=str(error))
            await self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _dated(self, body: bytes) -> bytes:
        try:
            return await self._once(body)
        except WrongDate:  # it was refused unread; nobody was asked before EC2 that could have told the time
            return await self._once(body)

    async def _once(self, body: bytes) -> bytes:
        keys = await self._keys.keys()
        headers = signed_headers(
            "POST",
            self._url,
            {"Content-Type": CONTENT_TYPE},
            body,
            keys=keys,
            region=self._settings.region,
            now=self._time.now(self._url),
            service=SERVICE,
        )
        headers["User-Agent"] = self._settings.user_agent
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, proxy=self._proxy, allow_redirects=False, timeout=TIMEOUT
            ) as response:
                answer = await response.content.read(LARGEST)
                while not response.content.at_eof() and len(answer) < LARGEST:
                    answer += await response.content.read(LARGEST - len(answer))
                status, date = response.status, response.headers.get("Date", "")
        except TimeoutError as error:
            raise EcsError("", f"EC2 at {self._url} did not answer in time", was_silence=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise EcsError("", f"cannot reach EC2 at {self._url}: {error}") from error
        if status == OK:
            self._time.accepted(self._url, date)
            return answer
        code, message = read_failure(answer)
        if code in SKEWED and self._time.refused(self._url, date):
            raise WrongDate(code, message, status)
        if code in REFUSED_KEYS or code == "AuthFailure":
            self._keys.forget()
        raise EcsError(code, message or f"status {status}", status)


def is_reserved(key: str, value: str) -> bool:
    """Is this a tag that AWS made, and that nobody else may set?"""
    return key.lower().startswith(RESERVED) or value.lower().startswith(RESERVED)


def read_tags(answer: bytes) -> tuple[Tags, str]:
    """The tags in *answer*, and by which token the next page is asked for (``""`` is the last). Raises TryAgain."""
    try:
        tree = ET.fromstring(answer)  # noqa: S314 -- from the service that we authenticated and trust
    except UNREADABLE as error:
        raise TryAgain(f"cannot read what EC2 says of the tags of this instance: {error}") from error
    tags = tuple((_text(item, "key"), _text(item, "value")) for item in tree.iterfind("{*}tagSet/{*}item"))
    return tags, _text(tree, "nextToken")


def read_failure(answer: bytes) -> tuple[str, str]:
    """Code and message of an answer that is no success; both empty where it cannot be read."""
    try:
        error = ET.fromstring(answer).find(".//{*}Error")  # noqa: S314 -- as above
    except UNREADABLE:
        return "", ""
    return ("", "") if error is None else (_text(error, "Code"), _text(error, "Message"))


def _text(element: ET.Element, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "").strip()
