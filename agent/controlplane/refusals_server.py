"""How an agent is told that its WebSocket will not be opened (wire protocol, connection lifecycle)."""

import msgspec
from aiohttp import web

from agent.controlplane.faults import Fault
from agent.controlplane.plane import INACTIVE, UNKNOWN

LONGEST = 300
"""Characters of a message: an agent reads the first kibibyte of the answer alone."""
TYPED = (UNKNOWN, "AccessDeniedException")


def refusal(fault: Fault) -> web.Response:
    """The answer to the upgrade, in a form that agents understand. One refusal alone makes them wait for an hour."""
    text = str(fault)[:LONGEST]
    body: object = {"__type": fault.code, "message": text}
    if fault.code == INACTIVE:
        body = {INACTIVE: text}
    elif fault.code in TYPED:
        body = {"type": fault.code, "message": {"message": text}}
    return web.Response(body=msgspec.json.encode(body), status=fault.status, content_type="application/json")
