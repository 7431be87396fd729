"""Leads 169.254.170.2 to the agent, by iptables: whichever of its kinds Docker uses, too.

Fulfils what the endpoints want of a redirect. Every call looks at what there is first, so that each can be repeated.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from structlog import get_logger

from agent.config.settings import Settings
from agent.host.redirect import INPUT, KNOWN_ADDRESS, Listed, View, Wanted, in_words, needs_route, read
from agent.model.errors import TryAgain

log = get_logger()

PATIENCE = 10.0
"""Seconds for one command; it waits for others that hold the lock of the tables for half as long."""
LOCK_PATIENCE = "5"
PLACES = "/usr/sbin:/sbin:/usr/bin:/bin"
"""Where commands are, where PATH does not say so."""
PROC = Path("/proc")
CONF = Path("sys/net/ipv4/conf")
ROUTES = Path("net/route")
CONNECT_WITHIN = 1.0
MOST_ROUNDS = 20

Run = Callable[[Sequence[str]], Awaitable[str]]


async def run(command: Sequence[str]) -> str:
    """What *command* prints. Raises TryAgain with what it says where it fails."""
    name, *words = command
    program = await asyncio.to_thread(_found, name)
    if program is None:
        raise TryAgain(f"there is no {name} on this machine")
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise TryAgain(f"{program} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(PATIENCE):
            out, told = await process.communicate()
    except TimeoutError as error:
        raise TryAgain(f"{name} did not end within {PATIENCE:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        text = told.decode(errors="replace").strip().partition("\n")[0]
        raise TryAgain(f"{name} {' '.join(words)}: {text or f'exit code {process.returncode}'}")
    return out.decode(errors="replace")


def _found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=PLACES)


class RedirectDriver:
    """Looks after the way from 169.254.170.2 to *address* (``host:port``). Who leads it elsewhere is not fought."""

    def __init__(self, address: str, *, filters: bool = True, run: Run = run, proc: Path = PROC) -> None:
        self._address = address
        self._filters = filters
        self._run = run
        self._proc = proc

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The way of *settings*."""
        return cls(settings.task_address, filters=settings.localhost_traffic_filter)

    async def lacks(self) -> Sequence[str]:
        """What is missing, or in the way, in words. Raises TryAgain."""
        wanted = self._wanted()
        view = await self._view(wanted)
        told = in_words(view.missing(wanted), view.others(wanted))
        if wanted.needs_localnet and not await asyncio.to_thread(self._is_localnet):
            told.append("the kernel leads nobody to the loopback (net.ipv4.conf.all.route_localnet is 0)")
        if await asyncio.to_thread(self._needs_route):
            told.append(f"there is no route to {KNOWN_ADDRESS}")
        return told

    async def make(self) -> None:
        """Make what is missing; first of all what keeps strangers out. Raises TryAgain."""
        wanted = self._wanted()
        view = await self._without_stale(wanted)
        if others := view.others(wanted):  # the loopback is opened only behind the rule that keeps strangers out
            raise TryAgain("; ".join(in_words((), others)))
        for rule in view.missing(wanted):
            await self._iptables(*rule.to_add())
            if rule.chain == INPUT:
                log.info("loopback_kept_from_containers")
        if wanted.needs_localnet:
            await asyncio.to_thread(self._set_localnet, "1")
        if await asyncio.to_thread(self._needs_route):
            await self._run(("ip", "route", "replace", f"{KNOWN_ADDRESS}/32", "dev", "lo", "scope", "link"))

    async def remove(self) -> None:
        """Remove what was made for this address, and what nobody else needs any more. Raises TryAgain."""
        wanted = self._wanted()
        for _ in range(MOST_ROUNDS):
            view = await self._view(wanted, everything=True)
            found = view.made_for(wanted)
            if not found:
                break
            for rule in found:
                await self._iptables(*rule.to_delete())
        if wanted.needs_localnet and not view.uses_loopback_but_for(wanted):
            await asyncio.to_thread(self._set_localnet, await asyncio.to_thread(self._usual_localnet))
        if not view.others(wanted) and await asyncio.to_thread(self._has_own_route):
            await self._run(("ip", "route", "del", f"{KNOWN_ADDRESS}/32", "dev", "lo"))

    def _wanted(self) -> Wanted:
        return Wanted.of(self._address, filters=self._filters)

    async def _view(self, wanted: Wanted, *, everything: bool = False) -> View:
        chains = Wanted(wanted.address, wanted.port).chains if everything else wanted.chains
        rules: list[Listed] = []
        for table, chain in chains:
            rules += read(table, await self._iptables("-t", table, "-S", chain))
        return View(tuple(rules))

    async def _without_stale(self, wanted: Wanted) -> View:
        """What there is once rules of ours are gone that lead to where nobody listens: our address was another."""
        view = await self._view(wanted)
        stale = [one for one in view.others(wanted) if one.is_ours and not await _is_open(one.leads_to)]
        for one in stale:
            log.info("old_redirect_removed", led_to=one.leads_to, chain=one.chain)
            await self._iptables(*one.to_delete())
        return await self._without_stale(wanted) if stale else view

    async def _iptables(self, *words: str) -> str:
        return await self._run(("iptables", "-w", LOCK_PATIENCE, *words))

    def _localnet(self, whose: str) -> Path:
        return self._proc / CONF / whose / "route_localnet"

    def _is_localnet(self) -> bool:
        try:
            return self._localnet("all").read_text().strip() == "1"
        except OSError as error:
            raise TryAgain(f"{self._localnet('all')}: {error.strerror}") from error

    def _usual_localnet(self) -> str:
        try:
            return self._localnet("default").read_text().strip()
        except OSError:
            return "0"

    def _set_localnet(self, value: str) -> None:
        path = self._localnet("all")
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            raise TryAgain(f"{path} cannot be set to {value}: {error.strerror}") from error

    def _needs_route(self) -> bool:
        try:
            return needs_route((self._proc / ROUTES).read_text())
        except (OSError, ValueError, IndexError):
            return False  # what cannot be read cannot be mended

    def _has_own_route(self) -> bool:
        known = KNOWN_ADDRESS.split(".")
        written = "".join(f"{int(part):02X}" for part in reversed(known))
        try:
            lines = (self._proc / ROUTES).read_text().splitlines()
        except OSError:
            return False
        return any(line.split()[:2] == ["lo", written] for line in lines)


async def _is_open(address: str) -> bool:
    """Does somebody listen there? Where that cannot be found out: yes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return True
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return False
    except (OSError, TimeoutError):
        return True
    writer.close()
    return True
