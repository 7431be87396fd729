"""The ECS API over HTTP: JSON 1.1, one path, the action in a header (wire protocol, ECS JSON 1.1 API)."""

import asyncio
import secrets
import uuid

import msgspec
import structlog
from aiohttp import web

from agent.controlplane.answers import shape_answer
from agent.controlplane.api_model import ApiModel
from agent.controlplane.events import Called
from agent.controlplane.faults import SERVER_ERROR, Fault, client
from agent.controlplane.gate_server import Gate, refuse_browsers
from agent.controlplane.operations import ACTIONS, OPERATIONS
from agent.controlplane.records import JsonObject
from agent.controlplane.rights import check_action
from agent.controlplane.road_loop import Road
from agent.controlplane.validate import read_request
from agent.model.clock import Clock
from agent.model.errors import place_of

log = structlog.get_logger()

TARGET = "AmazonEC2ContainerServiceV20141113."
CONTENT_TYPE = "application/x-amz-json-1.1"
LARGEST_BODY = 128 * 1024
"""Bytes of a request. Amazon ECS takes 64 KiB of task definition; checking this much takes a few milliseconds."""
WAIT_FOR_BODY = 30.0
SEED_BYTES = 32


class ApiServer:
    """Answers API calls: in at the gate, checked against the model, decided on the road, shaped by the model."""

    def __init__(self, road: Road, gate: Gate, model: ApiModel, clock: Clock) -> None:
        self._road = road
        self._gate = gate
        self._model = model
        self._clock = clock

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call; errors are answers too."""
        request_id = str(uuid.uuid4())
        target = request.headers.get("X-Amz-Target", "").encode("ascii", "backslashreplace").decode()
        action = target.removeprefix(TARGET)[:100]
        try:
            status, answer = 200, await self._answer(request, action)
        except Fault as fault:
            status, answer = fault.status, fault.body
            level = log.error if status >= SERVER_ERROR else log.info
            level("call_refused", action=action, code=fault.code, reason=str(fault), request=request_id)
        except Exception as bug:  # noqa: BLE001  # a bug has the radius of one call
            log.error("call_broke", action=action, request=request_id, error=place_of(bug))  # noqa: TRY400  # no values
            status, answer = 500, {"__type": "ServerException", "message": f"Internal error: {type(bug).__name__}"}
        return web.Response(
            body=msgspec.json.encode(answer),
            status=status,
            headers={"x-amzn-RequestId": request_id, "Content-Type": CONTENT_TYPE},
        )

    async def _answer(self, request: web.Request, action: str) -> JsonObject:
        refuse_browsers(request.headers)
        body = await _read(request)
        visitor = await self._gate.admit(request, body)
        if not request.headers.get("X-Amz-Target", "").startswith(TARGET) or action not in ACTIONS:
            raise Fault("UnknownOperationException", f"There is no action {action!r} in the ECS API of 2014-11-13.")
        check_action(action, visitor.key)
        operation = OPERATIONS.get(action)
        if operation is None:
            raise client(f"Dockworker does not implement {action} yet")
        checked = read_request(self._model, action, _parse(body), operation.fault)
        endpoint = f"http://{request.host}/"
        event = Called(action, checked, self._clock(), secrets.token_hex(SEED_BYTES), endpoint, visitor.key)
        decision = await self._road.decide(visitor.region, event)
        if decision.changes:
            log.info("call_decided", action=action, changes=len(decision.changes), region=visitor.region)
        return shape_answer(self._model, action, decision.answer or {})


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(WAIT_FOR_BODY):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Fault("RequestEntityTooLargeException", f"The body must be at most {LARGEST_BODY} bytes", 413) from None
    except web.RequestPayloadError:
        raise Fault("SerializationException", "The body cannot be read") from None
    except TimeoutError:
        raise Fault("RequestTimeoutException", "The body did not arrive in time", 408) from None


def _parse(body: bytes) -> object:
    try:
        return msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Fault("SerializationException", "The body is not JSON") from None
