"""Values for roles, for all sessions: those that are at hand at once, the others as soon as they come.

Who finds nothing asks again; that is what repeats a failure, not sooner than after a while that grows. What nobody asks
for any more is not fetched.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from agent.controlplane.mint_driver import Source
from agent.controlplane.roles import TEXT, CannotMint, Minted, Role, RoleKeys
from agent.model.clock import Clock
from agent.model.errors import place_of

log = structlog.get_logger()

AT_ONCE = 4
PATIENCE = 40.0
"""Seconds after which a thread that fetches is given up; it ends by itself, whenever that is."""
MOST_THREADS = 12
"""Those that were given up among them: a program that is asked for keys may hang for good."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
SPENT = timedelta(minutes=1)
"""What is left to values that nobody is given any more."""

Ready = Callable[[], None]


class Mint:
    """Makes values of roles. `run` must run for sources that block."""

    def __init__(self, source: Source, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._monotonic = monotonic
        self._kept: dict[str, Minted] = {}
        self._waiting: dict[str, set[Ready]] = {}
        self._failures: dict[str, tuple[int, float]] = {}
        self._wanted: asyncio.Queue[Role] = asyncio.Queue()
        self._threads: list[threading.Thread] = []

    def of(self, role: Role, now: datetime, ready: Ready) -> Minted | None:
        """Values for *role*; None while there are none. *ready* is called once when it is worth asking again."""
        if not self._source.blocks:
            return Minted.of(role, self._source.keys(role, now), now)
        kept = self._kept.get(role.credentials_id)
        if kept is None or now >= kept.renew_at:
            self._want(role, ready)
        return kept if kept is not None and now < kept.keys.expires_at - SPENT else None

    async def run(self) -> None:
        """Fetch what is wanted, until cancelled."""
        async with asyncio.TaskGroup() as jobs:
            for number in range(AT_ONCE):
                jobs.create_task(self._work(), name=f"mint-{number}")

    def _want(self, role: Role, ready: Ready) -> None:
        waiting = self._waiting.get(role.credentials_id)
        if waiting is not None:
            waiting.add(ready)
        elif self._monotonic() >= self._failures.get(role.credentials_id, (0, 0.0))[1]:
            self._waiting[role.credentials_id] = {ready}
            self._wanted.put_nowait(role)

    async def _work(self) -> None:
        while True:
            role = await self._wanted.get()
            try:
                async with asyncio.timeout(PATIENCE):
                    keys = await self._fetch(role)
                self._check_life(keys)
            except (CannotMint, TimeoutError) as error:
                self._failed(role, str(error) or "it takes too long")
            except Exception as bug:  # noqa: BLE001  # of a source's library, it may be: the radius is one role
                self._failed(role, place_of(bug))
            else:
                self._keep(role, keys)
            for ready in self._waiting.pop(role.credentials_id, ()):
                ready()

    async def _fetch(self, role: Role) -> RoleKeys:
        """Ask the source in a thread of its own, which holds up nobody else and not the end of this program."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST_THREADS:
            raise CannotMint("those who were asked before have not answered yet")
        loop, now = asyncio.get_running_loop(), self._clock()
        answer: asyncio.Future[RoleKeys] = loop.create_future()

        def tell(put: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(lambda: None if answer.done() else put())

        def ask() -> None:
            try:
                keys = self._source.keys(role, now)
            except Exception as error:  # noqa: BLE001  # raised again where it is waited for
                tell(partial(answer.set_exception, error))
            else:
                tell(partial(answer.set_result, keys))

        thread = threading.Thread(target=ask, name="mint", daemon=True)
        self._threads.append(thread)
        thread.start()
        return await answer

    def _check_life(self, keys: RoleKeys) -> None:
        """Raise CannotMint where nobody would be given *keys* any more."""
        if keys.expires_at - SPENT <= self._clock():
            raise CannotMint(f"what came ends too soon, at {keys.expires_at:{TEXT}}")

    def _keep(self, role: Role, keys: RoleKeys) -> None:
        now = self._clock()
        self._failures.pop(role.credentials_id, None)
        self._kept = {name: one for name, one in self._kept.items() if one.keys.expires_at > now}
        self._kept[role.credentials_id] = Minted.of(role, keys, now)

    def _failed(self, role: Role, why: str) -> None:
        now = self._monotonic()
        self._failures = {name: one for name, one in self._failures.items() if one[1] > now - LONGEST_WAIT}
        count = self._failures.get(role.credentials_id, (0, 0.0))[0] + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(count - 1, 10))
        self._failures[role.credentials_id] = (count, now + wait)
        who = {"task": role.task, "role": role.role_arn, "kind": role.role_type}
        log.warning("role_credentials_not_made", **who, again_in=wait, error=why)
