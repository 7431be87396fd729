"""Asks another agent of this host who it is and what it runs. Never through a proxy: it is on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import aiohttp

from agent.host import introspection
from agent.model.errors import NoAnswer, TryAgain

USUAL_ADDRESS = "http://127.0.0.1:51678"
PATIENCE = 5.0
MOST = 16 << 20
OK = 200


class IntrospectionClient:
    """The agent at *url*. Methods raise TryAgain; of that, NoAnswer where nobody is there: who is slow is there."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str = USUAL_ADDRESS) -> AsyncIterator[Self]:
        """A client with connections of its own."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(trust_env=False, cookie_jar=jar, timeout=timeout) as session:
            yield cls(url, session)

    async def metadata(self) -> introspection.Neighbour:
        """Who it is."""
        return introspection.metadata(await self._get("/v1/metadata"))

    async def tasks(self) -> tuple[introspection.ToldTask, ...]:
        """What it runs, and what has ended and is not cleared away yet."""
        return introspection.tasks(await self._get("/v1/tasks"))

    async def _get(self, path: str) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE), self._session.get(self.url + path, allow_redirects=False) as response:
                answer = await response.content.read(MOST)
                while not response.content.at_eof():
                    answer += await response.content.read(MOST)
                    if len(answer) > MOST:
                        raise TryAgain(f"{self.url}{path} is answered with more than {MOST >> 20} MiB")
                status = response.status
        except TimeoutError as error:
            raise TryAgain(f"{self.url}{path} is not answered within {PATIENCE:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(f"no agent answers at {self.url}: {error}") from error
        if status != OK:
            raise TryAgain(f"{self.url}{path} is answered with {status}")
        return answer
