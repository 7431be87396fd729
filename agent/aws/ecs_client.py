"""Calls the ECS API: JSON 1.1, signed, repeated as AWS's own clients repeat.

Foreign errors end here: callers meet EcsError, RegistrationFailure, TryAgain or a verdict. Answers are never logged,
and neither are headers.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self, TypeVar

import aiohttp
import msgspec
from botocore.loaders import Loader
from structlog import get_logger

from agent.aws.credentials_client import Keys
from agent.aws.endpoints import dns_suffix, regional_endpoint
from agent.aws.failures import REFUSED_KEYS, EcsError, WrongDate, verdict_on
from agent.aws.retry import ONCE, STANDARD, Quota, wait_after
from agent.aws.roads_client import Roads
from agent.aws.server_time_driver import SKEWED, ServerTime
from agent.aws.signing import signed_headers
from agent.model.errors import TryAgain
from agent.model.protection import ProtectionWish
from agent.model.registration import Registered, Registration, RegistrationFailure
from agent.model.reports import TaskReport, Verdict
from agent.wire import ecs
from agent.wire.aws_errors import ERROR_HEADER, read_error

log = get_logger()

TIMEOUT = aiohttp.ClientTimeout(total=42, sock_connect=30)
"""Seconds for a whole round trip and for a connection (wire protocol, Transport)."""
SUCCESS = range(200, 300)
REQUEST_ID = "x-amzn-RequestId"

A = TypeVar("A", bound=ecs.Answer)


@dataclass(frozen=True, slots=True)
class EcsSettings:
    """Which ECS to talk to. `endpoint` is a base URL; empty means Amazon's for the region.

    Only there `fips` and `dualstack` count: whoever names an endpoint has chosen.
    """

    region: str
    user_agent: str
    endpoint: str = ""
    fips: bool = False
    dualstack: bool = False
    attempts: int = STANDARD
    """How often a call is made in all, but for those of callers that keep an order of their own."""


class EcsClient:
    """The actions of the ECS API that an agent calls. `heard` is called whenever ECS has answered with success."""

    def __init__(
        self,
        settings: EcsSettings,
        session: aiohttp.ClientSession,
        keys: Keys,
        *,
        server_time: ServerTime | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
        proxy: str | None = None,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._url = (settings.endpoint or amazon_endpoint(settings)).rstrip("/") + "/"
        self._session = session
        self._keys = keys
        self._time = server_time or ServerTime()
        self._sleep = sleep
        self._draw = draw
        self._proxy = proxy
        self._heard = heard
        self._quota = Quota()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: EcsSettings,
        keys: Keys,
        *,
        heard: Callable[[], None] = lambda: None,
        server_time: ServerTime | None = None,
        roads: Roads | None = None,
    ) -> AsyncIterator[Self]:
        """A client with connections of its own. Raises BadInput where a proxy is of no kind that we know.

        The session does not read the environment (aiohttp's ``trust_env``): that would send passwords of ``.netrc``
        in place of signatures, and proxy loopback addresses. *roads* knows the proxies instead.
        """
        if not settings.endpoint:
            settings = replace(settings, endpoint=await asyncio.to_thread(amazon_endpoint, settings))
        connector, proxy = (roads or Roads()).to_call(settings.endpoint)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, cookie_jar=jar) as session:
            yield cls(settings, session, keys, heard=heard, server_time=server_time, proxy=proxy)

    @property
    def url(self) -> str:
        """The base URL of the ECS API in use."""
        return self._url

    async def register(self, registration: Registration) -> Registered:
        """Register or re-register this container instance. Raises RegistrationFailure."""
        try:
            answer = await self._ask(ecs.to_register(registration), ecs.RegisterContainerInstanceAnswer)
        except (EcsError, TryAgain) as error:
            raise _registration_failure(error) from error
        return ecs.to_registered(answer)

    async def create_cluster(self, name: str) -> str:
        """Create the cluster called *name*; one that is there is success. Raises RegistrationFailure."""
        try:
            answer = await self._ask(ecs.CreateCluster(name), ecs.CreateClusterAnswer)
        except (EcsError, TryAgain) as error:
            raise _registration_failure(error) from error
        return answer.cluster.cluster_name

    async def set_state(self, cluster: str, instance_arn: str, status: str) -> str:
        """Make the instance ACTIVE or DRAINING. Gives why ECS would not, ``""`` if it did. Raises AgentError."""
        asked = ecs.UpdateContainerInstancesState(cluster, (instance_arn,), status)
        answer = await self._ask(asked, ecs.UpdateContainerInstancesStateAnswer)
        return "; ".join(failure.reason or "no reason given" for failure in answer.failures or ())

    async def deregister(self, cluster: str, instance_arn: str) -> None:
        """Have ECS let go of the instance, and of tasks that it has on it. Raises EcsError; TryAgain without keys."""
        request = ecs.DeregisterContainerInstance(cluster, instance_arn, force=True)
        await self._call("DeregisterContainerInstance", request, self._settings.attempts)

    async def discover(self, cluster: str, instance_arn: str) -> ecs.DiscoverPollEndpointAnswer:
        """Ask where ACS and TCS are. Raises EcsError; TryAgain without keys."""
        request = ecs.DiscoverPollEndpoint(cluster, instance_arn, zone_id="")
        return await self._ask(request, ecs.DiscoverPollEndpointAnswer)

    @property
    def attempts(self) -> int:
        """How often a call is made in all that does not work at once."""
        return self._settings.attempts

    async def tags(self, arn: str) -> dict[str, str]:
        """The tags of a task, or of what else has some. Raises EcsError; TryAgain without keys."""
        answer = await self._ask(ecs.ListTagsForResource(arn), ecs.ListTagsForResourceAnswer)
        return {tag.key: tag.value or "" for tag in answer.tags or ()}

    async def protection(self, cluster: str, task: str, wish: ProtectionWish | None) -> ecs.TaskProtectionAnswer:
        """How a task is protected from scale-in, after *wish*, if there is one. Raises EcsError."""
        if wish is None:
            return await self._ask(ecs.GetTaskProtection(cluster, (task,)), ecs.TaskProtectionAnswer)
        asked = ecs.UpdateTaskProtection(cluster, (task,), wish.enabled, wish.minutes)
        return await self._ask(asked, ecs.TaskProtectionAnswer)

    def signed_with(self, keys: Keys) -> Self:
        """This client, whose calls are signed with *keys*: they say nothing of whether ECS knows the agent."""
        return type(self)(
            self._settings,
            self._session,
            keys,
            server_time=self._time,
            sleep=self._sleep,
            draw=self._draw,
            proxy=self._proxy,
        )

    def as_used_by(self, container: str) -> Self:
        """This client, whose calls say in their User-Agent that *container* is why they are made."""
        settings = replace(self._settings, user_agent=f"{self._settings.user_agent} container/{container}")
        return type(self)(
            settings,
            self._session,
            self._keys,
            server_time=self._time,
            sleep=self._sleep,
            draw=self._draw,
            proxy=self._proxy,
            heard=self._heard,
        )

    async def submit(self, report: TaskReport, cluster: str) -> Verdict:
        """Tell ECS one change, once: the outbox repeats. Any success will do, whatever it says."""
        action, request = ecs.to_submission(report, cluster)
        try:
            await self._call(action, request, ONCE)
        except EcsError as error:
            verdict = verdict_on(error)
            log.warning("report_not_taken", task=report.subject, verdict=verdict.value, error=str(error))
            return verdict
        except TryAgain as error:
            log.warning("report_not_sent", task=report.subject, error=str(error))
            return Verdict.LATER
        return Verdict.SETTLED

    async def _ask(self, request: ecs.Request, answer: type[A]) -> A:
        body = await self._call(type(request).__name__, request, self._settings.attempts)
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EcsError("", f"cannot read the answer to {type(request).__name__}: {error}", SUCCESS.start) from error

    async def _call(self, action: str, request: ecs.Request, attempts: int) -> bytes:
        body = msgspec.json.encode(request)
        invocation = str(uuid.uuid4())
        paid = 0
        for attempt in range(1, attempts + 1):
            number = f"attempt={attempt}; max={attempts}"
            try:
                answer = await self._dated(action, body, number, invocation)
            except EcsError as error:
                wait = wait_after(attempt, attempts, error, self._draw())
                price = None if wait is None else self._quota.take(error)
                if wait is None or price is None:
                    raise
                paid = price
                log.info("ecs_call_retried", action=action, attempt=attempt, wait=round(wait, 3), error=str(error))
            else:
                self._quota.refund(paid)
                return answer
            await self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _dated(self, action: str, body: bytes, attempt: str, invocation: str) -> bytes:
        try:
            return await self._once(action, body, attempt, invocation)
        except WrongDate:  # it was refused unread: whoever keeps an order of repeats loses nothing
            return await self._once(action, body, attempt, invocation)

    async def _once(self, action: str, body: bytes, attempt: str, invocation: str) -> bytes:
        keys = await self._keys.keys()
        named = {"Content-Type": ecs.CONTENT_TYPE, "X-Amz-Target": ecs.TARGET_PREFIX + action}
        headers = signed_headers(
            "POST", self._url, named, body, keys=keys, region=self._settings.region, now=self._time.now(self._url)
        )
        # Not signed: proxies may rewrite the first, and the last two differ between repeats of one call.
        headers["User-Agent"] = self._settings.user_agent
        headers["Amz-Sdk-Invocation-Id"] = invocation
        headers["Amz-Sdk-Request"] = attempt
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, proxy=self._proxy, allow_redirects=False, timeout=TIMEOUT
            ) as response:
                answer = await response.read()
                status, header = response.status, response.headers.get(ERROR_HEADER, "")
                date, request_id = response.headers.get("Date", ""), response.headers.get(REQUEST_ID, "")
        except TimeoutError as error:
            text = f"ECS at {self._url} did not answer {action} in time"
            raise EcsError("", text, was_silence=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise EcsError("", f"cannot reach ECS at {self._url} for {action}: {error}") from error
        if status in SUCCESS:
            self._time.accepted(self._url, date)
            self._heard()
            return answer
        code, message = read_error(status, header, answer)
        if code in SKEWED and self._time.refused(self._url, date):
            raise WrongDate(code, message, status)
        if code in REFUSED_KEYS:
            self._keys.forget()
        raise EcsError(code, message, status, request_id=request_id)


class TaskReports:
    """What the reporter needs of ECS, for one cluster."""

    def __init__(self, ecs_client: EcsClient, cluster: str) -> None:
        self._ecs = ecs_client
        self._cluster = cluster

    async def submit(self, report: TaskReport) -> Verdict:
        """Tell ECS. Failures are verdicts; never raises for what the network or ECS did."""
        cluster = ecs.cluster_of(report.task)  # of an instance that has moved, some are of the cluster before
        is_ours = cluster in ("", self._cluster.rpartition("/")[2])
        return await self._ecs.submit(report, self._cluster if is_ours else cluster)


def _registration_failure(error: EcsError | TryAgain) -> RegistrationFailure:
    if isinstance(error, EcsError):
        return RegistrationFailure(error.code, error.message)
    return RegistrationFailure("", str(error))


def amazon_suffix(region: str) -> str:
    """The end of the names of Amazon's endpoints in *region*, by botocore's table."""
    return dns_suffix(region, _partitions())


def url_of(settings: EcsSettings) -> str:
    """Where the ECS API is, whether somebody names it or botocore's table does. Reads a file."""
    return settings.endpoint or amazon_endpoint(settings)


def amazon_endpoint(settings: EcsSettings, service: str = "ecs") -> str:
    """Amazon's endpoint of *service* in the region of *settings*; reads a table of the disk. Raises BadInput."""
    return regional_endpoint(
        settings.region, _partitions(), service=service, fips=settings.fips, dualstack=settings.dualstack
    )


@cache
def _partitions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Loader().load_data("partitions")["partitions"]
    return found
