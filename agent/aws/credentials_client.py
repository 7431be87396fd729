"""The keys that the agent itself signs with: found, kept, renewed before they end.

Whoever looks for them may block, so it works in a thread (see `chain_client` for the places).
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, Protocol, cast

from botocore.credentials import Credentials, RefreshableCredentials
from structlog import get_logger

from agent.aws.chain_client import ROTATED, Places, find_keys, freeze, said
from agent.aws.server_time_driver import SKEWED, ServerTime
from agent.aws.signing import host_of, signed_headers
from agent.model.clock import utc_now
from agent.model.credentials import SigningKeys
from agent.model.errors import TryAgain

log = get_logger()

NO_CREDENTIALS = "NoCredentialProviders"
NOWHERE = (
    "there are no AWS credentials: neither in the environment, nor in the shared files, nor from a container or "
    "instance role, nor in a rotated file"
)
KEPT_FOR = 5.0
"""Seconds for which an answer is used without asking botocore, which renews keys minutes before they expire."""
READ_AGAIN_AFTER = 300.0
"""Seconds after which keys that do not expire are looked for afresh: somebody may have changed the file."""
ROTATED_AFTER = 60.0
"""The same for a file of which it is known that somebody does."""
PATIENCE = 30.0
ANYWHERE = partial(find_keys, Places())


class Keys(Protocol):
    """Where a client gets its keys from."""

    async def keys(self) -> SigningKeys:
        """Keys that are valid now. Raises TryAgain where there are none."""
        ...

    def forget(self) -> None:
        """The keys were refused: look for them afresh next time."""
        ...


class CredentialsClient:
    """Finds keys, keeps them, renews them before they expire. One search at a time.

    *search* looks for keys and may block; *clock* judges when keys end.
    """

    def __init__(
        self,
        search: Callable[[], Credentials | None] = ANYWHERE,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._look = search
        self._monotonic = monotonic
        self._clock = clock
        self._one_search = asyncio.Lock()
        self._found: Credentials | None = None
        self._found_at = 0.0
        self._kept: SigningKeys | None = None
        self._kept_at = 0.0
        self._search_under_way: Future[SigningKeys] | None = None

    async def keys(self) -> SigningKeys:
        """Keys that are valid now. Raises TryAgain where there are none."""
        async with self._one_search:
            now = self._monotonic()
            if self._kept is not None and now - self._kept_at < KEPT_FOR:
                return self._kept
            try:
                async with asyncio.timeout(PATIENCE):
                    self._kept = await asyncio.wrap_future(self._begin_search(now))
            except TimeoutError as error:
                raise TryAgain("the search for AWS credentials takes too long", NO_CREDENTIALS) from error
            self._kept_at = now
            return self._kept

    def forget(self) -> None:
        """The keys were refused: look for them afresh next time."""
        self._found = self._kept = None

    def _begin_search(self, now: float) -> Future[SigningKeys]:
        """Search in a thread that nobody waits for at the end: the user's `credential_process` may hang for ever.

        Then one thread hangs with it, however often keys are asked for.
        """
        if self._search_under_way is None or self._search_under_way.done():
            self._search_under_way = _in_a_thread(lambda: self._search(now))
        return self._search_under_way

    def _search(self, now: float) -> SigningKeys:
        try:
            if self._is_worn(now):
                self._replace(now)
            frozen = None if self._found is None else freeze(self._found)
        except Exception as error:  # whatever botocore lets through; the next try looks everywhere again
            self._found = None
            raise TryAgain(f"cannot read AWS credentials: {said(error)}", NO_CREDENTIALS) from error
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise TryAgain(NOWHERE, NO_CREDENTIALS)
        if not all(text.isascii() and text.isprintable() for text in (frozen.access_key, frozen.token or "")):
            found, self._found = self._found, None
            where = f" ({found.method})" if found else ""
            raise TryAgain(
                f"the AWS credentials that were found{where} hold characters that no key has", NO_CREDENTIALS
            )
        return SigningKeys(frozen.access_key, frozen.secret_key, frozen.token or "")

    def _replace(self, now: float) -> None:
        """Look everywhere. Keys that ECS takes serve on while there are no others: a file may be half written."""
        try:
            fresh = self._look()
        except Exception as error:
            if self._found is None:
                raise
            log.warning("aws_credentials_kept", method=self._found.method, error=said(error))
        else:
            if fresh is None and self._found is not None:
                log.warning("aws_credentials_kept", method=self._found.method, error=NOWHERE)
            elif fresh is not None:
                self._take(fresh)
        self._found_at = now

    def _take(self, fresh: Credentials) -> None:
        if self._found is None or (self._found.method, self._found.access_key) != (fresh.method, fresh.access_key):
            log.info("aws_credentials_found", method=fresh.method)
        if isinstance(fresh, RefreshableCredentials):
            cast(Any, fresh)._time_fetcher = self._clock  # noqa: SLF001, TC006 -- no other way in
        self._found = fresh

    def _is_worn(self, now: float) -> bool:
        if self._found is None:
            return True
        after = ROTATED_AFTER if self._found.method == ROTATED else READ_AGAIN_AFTER
        return not isinstance(self._found, RefreshableCredentials) and now - self._found_at >= after


def _in_a_thread(search: Callable[[], SigningKeys]) -> Future[SigningKeys]:
    found: Future[SigningKeys] = Future()
    found.set_running_or_notify_cancel()  # a job that stops waiting leaves it as it is

    def run() -> None:
        try:
            keys = search()
        except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
            found.set_exception(error)
        else:
            found.set_result(keys)

    threading.Thread(target=run, name="aws-credentials", daemon=True).start()
    return found


class UpgradeSigner:
    """Signs the requests that open WebSockets to ACS and TCS, and the frames of TCS."""

    def __init__(self, keys: Keys, region: str, server_time: ServerTime | None = None) -> None:
        self._keys = keys
        self._region = region
        self._time = server_time or ServerTime()

    async def upgrade_headers(self, url: str) -> dict[str, str]:
        """The headers to add to a GET of *url* (http or https, query included). Raises TryAgain without keys.

        Signed are the host, the date and the session token, and the hash of an empty body; no header of the
        WebSocket, and no ``X-Amz-Content-Sha256`` (wire protocol, SigV4 of the upgrade request).
        """
        keys = await self._keys.keys()
        return signed_headers("GET", url, {}, b"", keys=keys, region=self._region, now=self._time.now(url))

    async def frame_headers(self, url: str, body: bytes) -> dict[str, str]:
        """The headers of one frame of TCS: signed like a GET of *url* with *body*, the host among them.

        Raises TryAgain without keys. A large body is hashed for some milliseconds.
        """
        keys = await self._keys.keys()
        headers = {"Host": host_of(url)}
        return signed_headers("GET", url, headers, body, keys=keys, region=self._region, now=self._time.now(url))

    def refused(self, url: str, date: str, why: str) -> bool:
        """The handshake at *url* was refused at *date* for the reason *why*. Is the date of the signature to blame?"""
        return any(word in why for word in SKEWED) and self._time.refused(url, date)
