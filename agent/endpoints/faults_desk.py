"""Answers containers that ask for faults in their network: ``/api/<id>/fault/v1/<kind>/<what is to be done>``.

How often that may be asked is counted before anything else, and so also for what makes no sense.
"""

import re
from collections.abc import Callable

import structlog

from agent.endpoints.calls import Answer, Asked
from agent.endpoints.directory import Directory, Found
from agent.endpoints.faults_loop import HostFaults
from agent.endpoints.faults_requests import BadRequest, read_request
from agent.endpoints.limits import Limiter
from agent.endpoints.ports import Faults, Portraits
from agent.endpoints.refusals import Refusals
from agent.model.errors import TryAgain
from agent.model.faults import HOST_NETWORK, Fault, FaultKind, FaultOp, FaultPlace, Outcome
from agent.model.portrait import Portrait
from agent.wire import go_json

log = structlog.get_logger()

KINDS, OPS = "|".join(FaultKind), "|".join(FaultOp)
PATH = re.compile(rf"/api/([^/]+)/fault/v1/({KINDS})/({OPS})")
RATE, BURST = 0.2, 1
"""Once in five seconds."""
TEXT = "text/plain; charset=utf-8"
TOO_MANY = b"You have reached maximum request limit"
HOST, NONE = "host", "none"

VERBS = {FaultOp.START: "start", FaultOp.STOP: "stop", FaultOp.STATUS: "check status"}
STATUS = {
    Outcome.LATENCY_RUNS: (409, "There is already one network latency fault running"),
    Outcome.LOSS_RUNS: (409, "There is already one network packet loss fault running"),
    Outcome.NO_INTERFACE: (500, "failed to resolve default host network interface"),
    Outcome.FAILED: (500, "internal error"),
}


class FaultsDesk:
    """Finds out whose network is meant, and lets *faults* do it. *clock* gives seconds and never goes back."""

    def __init__(
        self,
        directory: Directory,
        portraits: Portraits,
        faults: Faults,
        on_host: HostFaults,
        refusals: Refusals,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._portraits = portraits
        self._faults = faults
        self._on_host = on_host
        self._refusals = refusals
        self._clock = clock
        self._limiter = Limiter(RATE, BURST)

    async def answer(self, asked: Asked) -> Answer | None:
        """The answer to a request for a fault."""
        match = PATH.fullmatch(asked.path)
        if match is None:
            return None
        if asked.method != "POST":
            return Answer(405, content_type=TEXT)
        headers = {
            "X-Rate-Limit-Limit": f"{RATE:.2f}",
            "X-Rate-Limit-Duration": "1",
            "X-Rate-Limit-Request-Forwarded-For": asked.headers.get("x-forwarded-for", ""),
            "X-Rate-Limit-Request-Remote-Addr": asked.remote,
        }
        if not self._limiter.lets(asked.remote.rpartition(":")[0], asked.path, self._clock()):
            return Answer(429, TOO_MANY, TEXT, headers)
        status, said = await self._answer(asked, match[1], FaultKind(match[2]), FaultOp(match[3]))
        word = "Status" if status < 400 else "Error"  # noqa: PLR2004 -- where errors begin
        return Answer(status, go_json.dumps({word: said}), headers=headers)

    async def _answer(self, asked: Asked, metadata_id: str, kind: FaultKind, op: FaultOp) -> tuple[int, str]:
        try:
            fault = read_request(kind, op, asked.body)
        except BadRequest as wrong:
            return 400, str(wrong)
        found = self._directory.by_metadata_id(metadata_id)
        if found is not None and not self._directory.may_know(asked.caller, found.task.arn):
            self._refusals.tell(asked.caller, "faults")
            found = None
        if found is None:
            return (
                404,
                f"unable to get task arn from request: unable to get task Arn from v3 endpoint ID: {metadata_id}",
            )
        arn = found.task.arn
        try:
            portrait = await self._portraits.portrait(found.container.docker_id) if found.container.docker_id else None
        except TryAgain as error:
            log.warning("fault_without_portrait", task=arn, error=str(error))
            return 500, f"Unable to generate metadata for v4 task: '{arn}'"
        if not found.task.spec.fault_injection:
            return 400, f"enableFaultInjection is not enabled for task: {arn}"
        place = _place(found, portrait)
        outcome = Outcome.NO_NETWORK if place is None else await self._do(op, fault, place, found)
        log.info(
            "fault_asked_for", task=arn, container=found.spec.name, op=op.value, fault=str(fault), came_of_it=outcome
        )
        return _told(op, kind, outcome, metadata_id)

    async def _do(self, op: FaultOp, fault: Fault, place: FaultPlace, found: Found) -> Outcome:
        if not place.is_host or op is FaultOp.STATUS:
            return await self._faults.do(op, fault, place)
        if op is FaultOp.START:
            return await self._on_host.start(fault, found.task.arn)
        return await self._on_host.stop(fault)


def _place(found: Found, portrait: Portrait | None) -> FaultPlace | None:
    """Whose network it is; None for a container that does not run, or has none."""
    if portrait is None or not portrait.pid:
        return None
    modes = (found.task.spec.network_mode, portrait.network_mode)
    if NONE in modes:
        return None
    return HOST_NETWORK if HOST in modes else FaultPlace(portrait.docker_id, portrait.pid)


def _told(op: FaultOp, kind: FaultKind, outcome: Outcome, metadata_id: str) -> tuple[int, str]:
    if outcome in (Outcome.RUNNING, Outcome.STOPPED, Outcome.NOT_RUNNING):
        return 200, outcome.value
    if outcome is Outcome.NO_NETWORK:
        return 500, f"failed to get task metadata due to internal server error for container: {metadata_id}"
    if outcome is Outcome.TIMED_OUT:
        return 500, f"{VERBS[op]} {kind}: request timed out"
    return STATUS[outcome]
