"""The control plane as a program: opened bottom up, served until told to stop, closed top down."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web
from botocore.session import Session

from agent.controlplane import keys_driver, lock_driver, model_driver
from agent.controlplane.acs_server import AcsServer
from agent.controlplane.api_server import LARGEST_BODY, ApiServer
from agent.controlplane.events import MinutePassed, PlaneStarted
from agent.controlplane.faults import Fault
from agent.controlplane.gate_server import Gate
from agent.controlplane.idle_loop import Idle
from agent.controlplane.mint_driver import source_of
from agent.controlplane.mint_loop import Mint
from agent.controlplane.operations import ACTIONS
from agent.controlplane.ops_agent import TELEMETRY
from agent.controlplane.road_loop import Road, open_road
from agent.controlplane.role_keys import secret_of
from agent.controlplane.settings import Cadence, PlaneAddress, PlaneSettings
from agent.controlplane.telemetry_server import TelemetryServer
from agent.model.clock import Clock, utc_now

log = structlog.get_logger()

FORGET_EVERY = 60.0
WAIT_FOR_CALLS = 5.0


Ready = Callable[[PlaneAddress], Awaitable[None] | None]
"""Hears the address; what it returns, if anything, is waited for."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """Those who answer at the open port."""

    api: ApiServer
    acs: AcsServer
    telemetry: TelemetryServer


class _ToldToStop(Exception):  # no error: the way in which one job ends the others
    """Somebody asked for the end."""


async def serve(
    settings: PlaneSettings,
    *,
    ready: Ready | None = None,
    told_to_stop: asyncio.Event,
    clock: Clock = utc_now,
    cadence: Cadence | None = None,
    find_keys: Callable[[], Session] | None = None,
) -> None:
    """Serve until *told_to_stop*. *ready* hears the address once every call is answered there.

    *find_keys* finds the keys of this host, for sources of role credentials that need them.

    Raises OSError where the data directory or the address cannot be used, KeyFileUnreadable where the keys cannot.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, lock_driver.hold(settings.data_dir))
        keys = await asyncio.to_thread(keys_driver.load_or_make, settings.data_dir)
        model = await asyncio.to_thread(model_driver.load, ACTIONS)
        road = await stack.enter_async_context(open_road(settings.data_dir, settings.account, clock))
        gate = Gate(settings, keys, clock)
        api = ApiServer(road, gate, model, clock)
        cadence = cadence or Cadence()
        find = find_keys or Session
        mint = Mint(source_of(settings.role_credentials, secret_of(keys), find), clock)
        acs = AcsServer(road, gate, clock, cadence, mint)
        telemetry = TelemetryServer(road, gate, clock, cadence)
        rooms = Rooms(api, acs, telemetry)
        idle = Idle(cadence.silence)
        try:
            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(road.run(), name="road")
                jobs.create_task(_forget(road, acs, clock), name="forget")
                jobs.create_task(idle.run(), name="idle")
                jobs.create_task(mint.run(), name="mint")
                jobs.create_task(_listen(settings, road, rooms, idle, ready, told_to_stop, clock), name="listen")
        except* _ToldToStop:
            log.info("controlplane_stopped")


async def _listen(  # everything that serve has opened
    settings: PlaneSettings,
    road: Road,
    rooms: Rooms,
    idle: Idle,
    ready: Ready | None,
    told_to_stop: asyncio.Event,
    clock: Clock,
) -> None:
    for region in road.regions:
        await road.decide(region, PlaneStarted(clock()))
    async with open_site(settings, rooms, idle) as address:
        log.info("controlplane_ready", url=address.url, auth=settings.auth)
        if ready is not None and (told := ready(address)) is not None:
            await told
        await told_to_stop.wait()
        rooms.telemetry.end_all()
        await rooms.acs.end_all()
    raise _ToldToStop


@asynccontextmanager
async def open_site(settings: PlaneSettings, rooms: Rooms, idle: Idle) -> AsyncIterator[PlaneAddress]:
    """The open port. On the way out it is closed first, then calls under way get a few seconds.

    A body is taken as it was signed, never unpacked. What is no HTTP is answered 400 and not logged: anybody could
    fill the log with it.
    """
    application = web.Application(client_max_size=LARGEST_BODY)
    application.router.add_get("/ws", idle.answering(rooms.acs.handle))
    application.router.add_get(f"/{TELEMETRY}ws", idle.answering(rooms.telemetry.handle))
    application.router.add_route("*", "/{path:.*}", idle.answering(rooms.api.handle))
    runner = web.AppRunner(
        application,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=WAIT_FOR_CALLS,
        auto_decompress=False,
        logger=logging.Logger("http", logging.CRITICAL),  # noqa: LOG001  # for this server alone
    )
    await runner.setup()
    assert runner.server is not None
    server = runner.server
    idle.watch(lambda: server.connections)
    try:
        await web.TCPSite(runner, settings.listen_host, settings.listen_port).start()
        host, port, *_ = runner.addresses[0]
        yield PlaneAddress(host, port)
    finally:
        await runner.cleanup()


async def _forget(road: Road, acs: AcsServer, clock: Clock) -> None:
    """Once a minute, let go of what ended long ago."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        await acs.say_again()
        for region in road.regions:
            try:
                await road.decide(region, MinutePassed(clock()))
            except Fault as fault:
                log.warning("forgetting_put_off", region=region, error=str(fault))
