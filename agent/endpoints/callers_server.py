"""Finds out who calls: a container by its address, one in the network of the host by who holds the socket.

An address passes from a container that ended to the next one sooner than we hear of the end. So an entry of the
address book names somebody only if the first process of the container is seen to be alive after the call came in, or
Docker, asked after that, says so; else the address is nobody's.
"""

import asyncio
from collections.abc import Callable, Sequence

from agent.endpoints.callers import AddressBook, Entry, entry
from agent.endpoints.calls import Caller, Known
from agent.endpoints.ports import Callers, Likenesses, Tasks
from agent.model.errors import TryAgain
from agent.model.names import DockerId

AT_ONCE = 8
"""Containers that Docker is asked about side by side."""
PATIENCE = 1.0
"""Seconds for Docker to show a container. Of one that it is starting it says nothing until that is done."""
LOOK_AGAIN = 5.0
"""Seconds: who calls from an address that nobody has makes us look at all containers, at most so often."""


class Inquiry:
    """Tells who calls. What Docker does not answer is nobody, and is asked anew with the next connection."""

    def __init__(
        self,
        tasks: Tasks,
        docker: Likenesses,
        host: Callers,
        clock: Callable[[], float] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._tasks = tasks
        self._docker = docker
        self._host = host
        self._clock = clock
        self._patience = patience
        self._book = AddressBook()
        self._turn = asyncio.Lock()
        self._looked_at_all: float | None = None

    async def who(self, peer: tuple[str, int], server: tuple[str, int]) -> Caller:
        """Who holds the other end of the connection between *peer* and *server*, as the server sees them."""
        self._book.follow(self._tasks.tasks)
        if (caller := await self._by_address(peer[0])) is not None:
            return caller
        if await self._host.is_ours(peer[0]):
            return await self._on_host(peer, server)
        await self._look_at_new()
        if (caller := await self._by_address(peer[0])) is not None:
            return caller
        await self._look_at_all()
        return await self._by_address(peer[0]) or Caller()

    async def _by_address(self, address: str) -> Caller | None:
        holders = [one for one in self._book.at(address) if await self._still_holds(one, address)]
        places = [place for one in holders if (place := self._book.place(one.docker_id)) is not None]
        return places[0].caller(Known.ADDRESS) if len(places) == 1 else None

    async def _still_holds(self, one: Entry, address: str) -> bool:
        if await self._host.is_of(one.pid, one.docker_id):
            return True
        try:
            now = await self._docker.portrait_now(one.docker_id)
        except TryAgain:
            return False
        if now is None:
            self._book.strike(one.docker_id)
            return False
        self._book.write(entry(now))
        return bool(now.pid) and address in now.addresses

    async def _on_host(self, peer: tuple[str, int], server: tuple[str, int]) -> Caller:
        """Docker itself is known without Docker: it asks while it starts a container, and says nothing of that then."""
        before = self._book.in_host()
        caller = await self._by_socket(peer, server)
        if caller.known is Known.NOBODY:
            await self._look_at_new()  # somebody else may have done so meanwhile
            if self._book.in_host() != before:
                caller = await self._by_socket(peer, server)
        return caller

    async def _by_socket(self, peer: tuple[str, int], server: tuple[str, int]) -> Caller:
        among = {one.docker_id: one.pid for one in self._book.in_host()}
        holder = await self._host.holder(peer, server, among)
        if holder.docker_id:
            place = self._book.place(holder.docker_id)
            return place.caller(Known.SOCKET) if place is not None else Caller()
        return Caller(Known.HOST) if holder.of_host else Caller()

    async def _look_at_new(self) -> None:
        async with self._turn:  # who comes meanwhile waits for the same answers
            await self._look(self._book.unknown())

    async def _look_at_all(self) -> None:
        """For those who were joined to one more network after they were looked at."""
        async with self._turn:
            now = asyncio.get_running_loop().time() if self._clock is None else self._clock()
            if self._looked_at_all is not None and now - self._looked_at_all < LOOK_AGAIN:
                return
            self._looked_at_all = now
            await self._look(self._book.all())

    async def _look(self, ids: Sequence[DockerId]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def look(docker_id: DockerId) -> None:
            async with gate:
                try:
                    async with asyncio.timeout(self._patience):
                        seen = await self._docker.portrait(docker_id)
                except (TryAgain, TimeoutError):
                    return
            if seen is not None:
                self._book.write(entry(seen))

        async with asyncio.TaskGroup() as jobs:
            for docker_id in ids:
                jobs.create_task(look(docker_id), name="look-at-container")
