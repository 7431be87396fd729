"""GPUs that come late, that change, and that ECS is told of."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from agent.membership.gpus_loop import LATE, OFTEN, SELDOM, GpuLoop, Told
from agent.model.devices import NO_GPUS, GpuReading, Gpus
from agent.model.registration import Registered, Registration, RegistrationFailure

ONE, TWO = GpuReading(Gpus(("GPU-1",), "550"), "NVML"), GpuReading(Gpus(("GPU-1", "GPU-2"), "550"), "NVML")
NONE = GpuReading()


class _OverError(Exception):
    """The driver has shown all that it was to show."""


@dataclass
class Host:
    """A driver that shows one thing after the other, and an ECS that hears of it."""

    shows: Iterator[GpuReading]
    reading: GpuReading = NONE
    answer: Registered | RegistrationFailure = field(default_factory=lambda: Registered("arn:instance"))
    found: list[frozenset[str]] = field(default_factory=list)
    registered: list[Gpus] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    registering: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.told = Told(self)

    async def look(self) -> GpuReading:
        try:
            self.reading = next(self.shows)
        except StopIteration:
            raise _OverError from None
        return self.reading

    async def register(self, registration: Registration) -> Registered:
        self.registered.append(registration.gpus)
        if isinstance(self.answer, RegistrationFailure):
            raise self.answer
        return self.answer

    async def create_cluster(self, name: str) -> str:
        return name.upper()

    async def again(self) -> None:
        if self.registering is not None:
            await self.registering()
        try:
            await self.told.register(Registration("demo", "t", "arn:instance", (), (), gpus=self.reading.gpus))
        except RegistrationFailure:
            return

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        for _ in range(5):
            await asyncio.sleep(0)

    async def live(self) -> None:
        loop = GpuLoop(self, self.told, found=self.found.append, register=self.again, pause=self.pause)
        with pytest.raises(ExceptionGroup) as caught:
            await loop.run()
        assert isinstance(caught.value.exceptions[0], _OverError)


def a_host(*shows: GpuReading, reading: GpuReading = NONE, told: Gpus | None = NO_GPUS) -> Host:
    host = Host(iter(shows), reading)
    host.told.gpus = told
    return host


def test_a_driver_that_comes_late_is_noticed_within_30_seconds_and_told_to_both() -> None:
    host = a_host(NONE, NONE, ONE, ONE)

    asyncio.run(host.live())

    assert OFTEN <= 30
    assert host.waits == [OFTEN, OFTEN, OFTEN, SELDOM, SELDOM]
    assert host.found == [frozenset({"GPU-1"})]
    assert host.registered == [ONE.gpus]


def test_that_there_are_none_is_said_once_a_driver_has_had_its_time() -> None:
    looks = int(LATE / OFTEN)
    host = a_host(*[NONE] * (looks - 1))
    asyncio.run(host.live())
    assert host.found == []

    host = a_host(*[NONE] * (looks + 3))
    asyncio.run(host.live())
    assert host.found == [frozenset()]
    assert host.registered == []


def test_gpus_that_are_there_from_the_start_are_told_at_once_and_registered_once() -> None:
    host = a_host(ONE, reading=ONE, told=ONE.gpus)

    asyncio.run(host.live())

    assert host.found == [frozenset({"GPU-1"})]
    assert host.registered == []


def test_gpus_that_change_or_go_are_told_each_time() -> None:
    host = a_host(TWO, NONE, ONE, reading=ONE, told=ONE.gpus)

    asyncio.run(host.live())

    assert host.registered == [TWO.gpus, NO_GPUS, ONE.gpus]
    one, two = frozenset({"GPU-1"}), frozenset({"GPU-1", "GPU-2"})
    assert host.found == [one, two, frozenset(), one]


def test_before_the_first_registration_is_answered_there_is_nothing_to_correct() -> None:
    host = a_host(ONE, told=None)

    asyncio.run(host.live())

    assert host.registered == []


@pytest.mark.parametrize(("code", "times"), [("ClientException", 1), ("ServerException", 3)])
def test_what_ecs_refuses_is_not_asked_again_and_what_it_did_not_answer_is(code: str, times: int) -> None:
    host = a_host(ONE, ONE, ONE)
    host.answer = RegistrationFailure(code, "no")

    asyncio.run(host.live())

    assert host.registered == [ONE.gpus] * times


def test_looks_go_on_while_ecs_takes_its_time_and_what_is_told_then_is_the_newest() -> None:
    answered = asyncio.Event()
    host = a_host(ONE, TWO, TWO)
    host.registering = answered.wait  # type: ignore[assignment] # what it gives is of no interest
    pause = host.pause

    async def pause_and_answer(seconds: float) -> None:
        await pause(seconds)
        if len(host.waits) == 3:
            answered.set()
            await pause(seconds)

    host.pause = pause_and_answer  # type: ignore[method-assign]

    asyncio.run(host.live())

    assert host.registered == [TWO.gpus]


def test_what_is_found_is_logged_when_it_changes_and_trouble_loudly() -> None:
    lost = GpuReading(ONE.gpus, "NVML", "GPU 1 is lost")
    with capture_logs() as lines:
        asyncio.run(a_host(NONE, ONE, ONE, lost, lost, ONE, lost, told=None).live())

    told = [(line["event"], line["log_level"]) for line in lines]
    assert told == [
        ("gpus_looked_for", "info"),
        ("gpus_looked_for", "info"),
        ("gpus_not_usable", "warning"),
        ("gpus_usable_again", "info"),
        ("gpus_not_usable", "warning"),
    ]
    assert (lines[1]["found"], lines[1]["driver"], lines[1]["source"]) == (["GPU-1"], "550", "NVML")
    assert lines[2]["reason"] == "GPU 1 is lost"


def test_a_cluster_is_made_by_whoever_registers() -> None:
    assert asyncio.run(a_host().told.create_cluster("demo")) == "DEMO"
