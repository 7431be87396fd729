"""The connection to a Docker Engine, and what the engine says of itself.

aiodocker builds the connection and speaks the plain calls. Streams are read here: aiodocker takes a connection that was
lost for the end of a stream, and leaves the response open when its reader goes away. Its errors go no further than the
drivers of this room; `DockerError` passes from `call` and `stream` to them, to be sorted by what was asked.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import aiodocker
import aiohttp
import msgspec
from aiodocker.exceptions import DockerError
from yarl import URL

from agent.docker import facts, reasons
from agent.model.errors import BadInput, NoAnswer, OutcomeUnknown, TryAgain
from agent.model.seen import EngineFacts

DEFAULT_HOST = "unix:///var/run/docker.sock"

_NO_CONNECTION = 900
"""aiodocker's status for "cannot connect"."""
_UNIX = "unix://"
_UNSPOKEN = "auto"
_FIRST_ERROR_STATUS = 400
_ASKING = 10.0
"""Seconds in which Docker says its version and its facts (task engine: version, info)."""
_PING = 5.0
_LAST_CHANCE = 5.0
"""Seconds in which Docker, back from a silence, answers what it was asked before; else that has been lost."""
_LONGEST_LINE = 16 << 20

Lost = type[TryAgain] | type[OutcomeUnknown]


class DockerEngine:
    """One Docker Engine. Not yet there, or gone for a while, is no failure of the object, only of its calls."""

    def __init__(self, client: aiodocker.Docker) -> None:
        self._client = client
        self._streams: dict[aiohttp.ClientResponse, float] = {}
        """Open streams, and when they were last heard."""
        self._calls: dict[asyncio.Timeout, float] = {}
        """Calls that wait for an answer, and until when they may where all is well."""
        self.calls = 0
        self.errors: Counter[str] = Counter()
        """How many calls failed: ``late``, ``lost``, ``unreadable``, or refused (``4xx``, ``5xx``)."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, host: str = DEFAULT_HOST) -> AsyncIterator[Self]:
        """Prepare to speak with the engine at *host* (a `DOCKER_HOST`); closes streams and connections at the end.

        Sends nothing yet. Calls should have been answered or cancelled before the end. Raises BadInput where *host* is
        no address of an engine.
        """
        # no limit of connections: each stop that waits holds one
        connector = aiohttp.UnixConnector(host.removeprefix(_UNIX), limit=0) if host.startswith(_UNIX) else None
        try:
            client = aiodocker.Docker(url=host, connector=connector)
        except ValueError as error:
            raise BadInput("DOCKER_HOST", f"cannot be used: {error}") from error
        if connector is not None:
            client.docker_host = (
                f"{_UNIX}localhost"  # a URL needs some host; aiodocker sets it only with its own connector
            )
        engine = cls(client)
        try:
            yield engine
        finally:
            for response in engine._streams:  # closing the connection alone leaves their readers waiting
                response.close()
            await client.close()
            if connector is not None:
                await connector.close()

    async def ping(self) -> None:
        """Return if Docker answers. Raises TryAgain."""
        await self._ask("_ping")

    def is_back(self) -> None:
        """Docker was away and answers again: what was asked before is answered soon, or has been lost.

        Its connection may be one that nobody serves any more, and would keep its caller waiting to the bound.
        """
        loop = asyncio.get_running_loop()
        for call, due in self._calls.items():
            if not call.expired():
                latest = max(loop.time(), due) + _LAST_CHANCE
                call.reschedule(min(call.when() or latest, latest))
        loop.call_later(_LAST_CHANCE, self._close_streams, [*self._streams], loop.time())

    def _close_streams(self, streams: Sequence[aiohttp.ClientResponse], silent_since: float) -> None:
        for response in streams:
            if self._streams.get(response, silent_since) < silent_since:
                response.close()

    async def version(self) -> str:
        """The engine's version without build metadata, such as ``20.10.24``. Raises TryAgain."""
        return facts.version_of(await self._ask("version"))

    async def facts(self) -> EngineFacts:
        """What the engine says of itself and its host. Raises TryAgain."""
        version = await self._ask("version")
        try:
            async with self.call(_ASKING, TryAgain) as client:
                info = await client.system.info()
        except DockerError as error:
            raise TryAgain(f"cannot ask Docker for its facts: {error}") from error
        return facts.read(version, info)

    @asynccontextmanager
    async def call(
        self, bound: float, lost: Lost = OutcomeUnknown, *, aim: str = "", grace: float = 0.0
    ) -> AsyncIterator[aiodocker.Docker]:
        """Give the client for one call of at most *bound* seconds; less where Docker comes back from a silence.

        Also then it is left *grace* seconds: so long the answer may take where all is well.
        Raises *lost* where the answer did not come, DockerError where it was a refusal. *aim* is what the call should
        have made of a thing, such as ``created``: then the text for a late answer is the one that ECS users know.
        """
        self.calls += 1
        try:
            async with self._of_calls(bound, grace):
                with self._reached(lost):
                    await self._agree_on_version(lost)
                    yield self._client
        except TimeoutError as error:
            self.errors["late"] += 1
            text = reasons.timed_out(aim, bound) if aim else f"Docker did not answer within {bound:g} s"
            raise _silent(lost)(text) from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        lost: Lost = OutcomeUnknown,
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Open a stream of JSON documents; entered once the response's head has come.

        Leaving it closes the request. Raises like `call`; how long it may be silent is the caller's to say.
        """
        with self._reached(lost):
            await self._agree_on_version(lost)
            async with self._of_calls(None):
                response = await self._request(method, f"{self._client.api_version}/{path}", params, headers)
            self._streams[response] = asyncio.get_running_loop().time()
            try:
                if response.status >= _FIRST_ERROR_STATUS:
                    raise DockerError(response.status, facts.message_of(await response.read()))
                yield self._documents(response)
            finally:
                self._streams.pop(response, None)
                response.close()

    @asynccontextmanager
    async def _of_calls(self, bound: float | None, grace: float = 0.0) -> AsyncIterator[None]:
        """Wait inside for an answer, until *bound*, or until Docker has been back for a while without one."""
        async with asyncio.timeout(bound) as limit:
            self._calls[limit] = asyncio.get_running_loop().time() + grace
            try:
                yield
            finally:
                del self._calls[limit]

    def forget_version(self) -> None:
        """Agree on an API version afresh with the next call: the engine may be another one now."""
        self._client.api_version = _UNSPOKEN

    async def _agree_on_version(self, lost: Lost) -> None:
        """Choose an API version that both sides speak, once, and again after the connection was lost."""
        if self._client.api_version != _UNSPOKEN:
            return
        try:
            self._client.api_version = facts.api_version_for(await self._ask("version"))
        except TryAgain as error:
            raise _silent(lost)(str(error)) from error

    async def _ask(self, path: str) -> bytes:
        """The answer to a question that needs no API version. Raises TryAgain."""
        try:
            async with asyncio.timeout(_PING if path == "_ping" else _ASKING):
                with self._reached(TryAgain):
                    response = await self._request("GET", path, {}, None)
                    try:
                        answer = await response.read()
                    finally:
                        response.close()
        except TimeoutError as error:
            raise NoAnswer(f"Docker did not answer /{path} in time") from error
        if response.status >= _FIRST_ERROR_STATUS:
            raise TryAgain(f"Docker answered /{path} with {response.status}: {facts.message_of(answer)}")
        return answer

    async def _request(
        self, method: str, path: str, params: Mapping[str, str], headers: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        return await self._client.session.request(
            method,
            URL(f"{self._client.docker_host}/{path}"),
            params=dict(params),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_ASKING),
        )

    @contextmanager
    def _reached(self, lost: Lost) -> Iterator[None]:
        """Turn a lost connection, or an answer that is none, into *lost*."""
        try:
            yield
        except DockerError as error:
            if error.status != _NO_CONNECTION:
                self.errors[f"{error.status // 100}xx"] += 1
                raise
            self.errors["lost"] += 1
            self.forget_version()
            raise _silent(lost)(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            self.errors["lost"] += 1
            self.forget_version()
            raise _silent(lost)(f"the connection to Docker was lost: {error}") from error
        except (json.JSONDecodeError, msgspec.DecodeError) as error:
            self.errors["unreadable"] += 1
            raise lost(f"Docker's answer cannot be read: {error}") from error

    async def _documents(self, response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
        """The JSON documents of a stream, one a line; lines may be far longer than aiohttp's own limit."""
        rest = b""
        loop = asyncio.get_running_loop()
        async for chunk in response.content.iter_any():
            if response in self._streams:
                self._streams[response] = loop.time()
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                raise aiohttp.ClientPayloadError("a line of the stream does not end")
            for line in lines:
                if line.strip():
                    yield msgspec.json.decode(line, type=dict[str, Any])
        if rest.strip():  # the last line may have no end; one that was cut off is no document
            yield msgspec.json.decode(rest, type=dict[str, Any])


def _silent(lost: Lost) -> Lost:
    """*lost*, where it was Docker that did not answer: a question that may be asked again has not failed."""
    return NoAnswer if lost is TryAgain else lost
