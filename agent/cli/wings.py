"""The two wings of ``dockworker dev``: each is the service that also runs alone, in a thread."""

import asyncio
from collections.abc import Callable

from botocore.session import Session

from agent import daemon
from agent.cli.dev_place import Place
from agent.cli.wing_loop import Ready, Wing
from agent.config.settings import Settings
from agent.controlplane import service_loop
from agent.controlplane.roles import RoleSource
from agent.controlplane.settings import PlaneSettings


def plane_wing(
    place: Place, roles: RoleSource = RoleSource.LOCAL, find_keys: Callable[[], Session] | None = None
) -> Wing:
    """The control plane of *place*. *find_keys* finds the keys of this host, if *roles* needs them."""
    settings = PlaneSettings(
        place.plane_data, place.listen.host, place.listen.port, place.region, place.account, role_credentials=roles
    )

    async def serve(told_to_stop: asyncio.Event, ready: Ready) -> int:
        await service_loop.serve(
            settings, ready=lambda at: ready(at.url), told_to_stop=told_to_stop, find_keys=find_keys
        )
        return 0 if told_to_stop.is_set() else 1

    return Wing("controlplane", serve)


def agent_wing(settings: Settings) -> Wing:
    """The agent with *settings*."""

    async def serve(told_to_stop: asyncio.Event, ready: Ready) -> int:
        return await daemon.serve(settings, told_to_stop=told_to_stop, ready=ready)

    return Wing("agent", serve)
