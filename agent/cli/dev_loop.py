"""One run of ``dockworker dev``: starts the two wings, runs tasks, shows what becomes of them, stops in order."""

import asyncio
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiodocker
from botocore.session import Session

from agent.cli import sample
from agent.cli.dev_options import Options, Purpose
from agent.cli.dev_place import Place
from agent.cli.engine_driver import build_sample, engine, log_of, remove_stopped
from agent.cli.plane_client import ApiError, PlaneClient
from agent.cli.screen import Screen
from agent.cli.signals import stop_on_signals
from agent.cli.walk import STARTED_BY, Walk, WentWrong, short
from agent.cli.wing_loop import Wing
from agent.cli.wings import agent_wing, plane_wing
from agent.config.settings import Settings
from agent.host.redirect_driver import RedirectDriver
from agent.model.errors import TryAgain

T = TypeVar("T")

READY_WITHIN = 30.0
STOPPED_WITHIN = 20.0
BETWEEN_LOOKS = 1.0
INTERRUPTED = 130
UNREACHABLE = (ApiError, OSError, TimeoutError)
"""What a call raises while the control plane is being started again."""


def told(error: BaseException) -> str:
    """The text of *error*, or its kind if it has none."""
    return str(error) or type(error).__name__


class ToldToStop(Exception):
    """A person pressed Ctrl-C."""


class Dev:
    """One run of ``dockworker dev``, from the first step to the last line."""

    def __init__(
        self,
        options: Options,
        place: Place,
        settings: Settings,
        screen: Screen,
        find_keys: Callable[[], Session] | None = None,
    ) -> None:
        self._options = options
        self._place = place
        self._settings = settings
        self._screen = screen
        self._told = asyncio.Event()
        self._plane = plane_wing(place, options.roles, find_keys)
        self._agent = agent_wing(settings)
        self._instance = ""

    async def run(self) -> int:
        """Do it all; gives the exit code."""
        with stop_on_signals(self._told):
            try:
                return await self._with_engine()
            finally:
                if self._options.purpose in (Purpose.DEMO, Purpose.STOP):
                    await self._remove_redirect()

    async def _with_engine(self) -> int:
        keys = (await asyncio.to_thread(self._place.keys)).operator
        async with engine(self._settings.docker_host) as docker:
            try:
                async with PlaneClient(self._place.endpoint, keys, self._place.region) as client:
                    return await self._at_work(docker, Walk(client, self._screen))
            finally:
                await self._close()
                if self._options.purpose in (Purpose.DEMO, Purpose.STOP) and self._instance:
                    count = await remove_stopped(docker, self._instance)
                    self._screen.say(f"Containers removed: {count}.")

    async def _remove_redirect(self) -> None:
        """Remove the firewall rules for containers, which the agent made if it could."""
        if self._settings.task_redirect and self._settings.task_address != "off":
            try:
                await RedirectDriver.of(self._settings).remove()
            except TryAgain as error:
                self._screen.say(f"Firewall rules for 169.254.170.2, if there are any, are left as they are: {error}.")

    async def _at_work(self, docker: aiodocker.Docker, walk: Walk) -> int:
        try:
            await self._unless_told(self._open(docker, walk))
            match self._options.purpose:
                case Purpose.DEMO:
                    return await self._demo(docker, walk)
                case Purpose.STOP:
                    await self._unless_told(self._stop_all(walk))
                    return 0
                case Purpose.SAMPLE:
                    await self._unless_told(self._run_sample(walk))
                case Purpose.STAY:
                    what = ("list-container-instances", "describe-clusters", "list-tasks")
                    await asyncio.to_thread(self._tell_how, what)
            return await self._stay(walk)
        except ToldToStop:
            self._screen.say("\nInterrupted.")
            if self._options.purpose in (Purpose.DEMO, Purpose.STOP):
                return INTERRUPTED
            await self._leave(walk)
            return 0

    async def _open(self, docker: aiodocker.Docker, walk: Walk) -> None:
        """Image, control plane, agent, in this order; returns when a task can be run."""
        screen = self._screen
        if self._options.purpose in (Purpose.SAMPLE, Purpose.DEMO):
            with screen.step(f"The image {sample.IMAGE}, from {sample.BUSYBOX}"):
                await build_sample(docker)
        with screen.step(f"The control plane, at {self._place.endpoint}"):
            await _until_ready(self._plane)
        with screen.step("The agent, registered and connected"):
            self._instance = await _until_ready(self._agent)
            await walk.instance(self._instance)
        screen.say(f"The container instance {short(self._instance)} is ACTIVE and its agent connected.")

    async def _run_sample(self, walk: Walk) -> None:
        for old in await walk.running():
            if old.get("startedBy") == STARTED_BY:
                self._screen.say("The sample task of the last time still runs; it makes place for a new one.")
                await walk.stop(str(old["taskArn"]))
        self._screen.say("\nThe sample task:")
        with self._screen.following("on its way"):
            arn = await walk.run(sample.STAYS)
            await walk.until(arn, "RUNNING")
        task = short(arn)
        await asyncio.to_thread(
            self._tell_how,
            (f"describe-tasks --tasks {task}", "run-task --task-definition sample", f"stop-task --task {task}"),
        )

    def _tell_how(self, commands: tuple[str, str, str]) -> None:
        say = self._screen.say
        say(f"\nThe ECS API is at {self._place.endpoint}. To copy into another terminal:\n")
        for command in commands:
            say(f"  {self._place.to_copy('ecs ' + command)}\n", "bold")
        say("What a task waits for, or why it ended:\n")
        say(f"  {self._explain_line()}\n", "bold")
        say("Ctrl-C stops the agent and the control plane. What happens meanwhile:")

    async def _demo(self, docker: aiodocker.Docker, walk: Walk) -> int:
        self._screen.say("\nThe sample task:")
        arn = ""
        try:
            with self._screen.following("on its way"):
                arn = await self._unless_told(walk.run(sample.ENDS))
                task = await self._unless_told(walk.until(arn, "STOPPED"))
        except ToldToStop:
            if arn:
                await walk.stop(arn)
            raise
        (container,) = task["containers"]
        code = container.get("exitCode")
        self._screen.say(f"\nIts container ended with exit code {code}. Its log:\n")
        for line in (await log_of(docker, str(container["runtimeId"]))).splitlines():
            self._screen.say(f"  | {line}")
        self._screen.say()
        if code != 0:
            raise WentWrong(f"the exit code must be 0, and is {code}: {task.get('stoppedReason', '')}")
        return 0

    async def _stay(self, walk: Walk) -> int:
        """Show what becomes of tasks until told to stop, or until a wing gives up."""
        silent = False
        while not self._told.is_set():
            try:
                await walk.show_changes()
                silent = False
            except UNREACHABLE as error:
                if not silent:
                    self._screen.say(f"  The control plane does not answer ({told(error)}).", "red")
                silent = True
            if self._agent.ended.done() or self._plane.ended.done():
                raise WentWrong("a part has given up")
            await _told_within(self._told, BETWEEN_LOOKS)
        await self._leave(walk)
        return 0

    async def _leave(self, walk: Walk) -> None:
        """Stop both wings, and say truly what runs on and how to stop it."""
        try:
            left = _left(len(await walk.running())) if self._plane.is_alive else ""
        except UNREACHABLE:
            left = "tasks, perhaps, and "
        await self._close()
        self._screen.say(f"The agent and the control plane are stopped. Left running: {left}the Docker Engine.")
        self._screen.say("This stops what was left:\n")
        self._screen.say(f"  {self._stop_line()}", "bold")

    async def _stop_all(self, walk: Walk) -> None:
        running = await walk.running()
        self._screen.say(f"Tasks that run: {len(running)}.")
        with self._screen.following("stopping"):
            for task in running:
                await walk.stop(str(task["taskArn"]))

    async def _close(self) -> None:
        """Stop the agent, then the control plane. A wing that does not stop in time ends with the process."""
        for wing in (self._agent, self._plane):
            if not wing.is_alive:
                continue
            with self._screen.step(f"Stopping the {wing.name}"):
                wing.stop()
                try:
                    async with asyncio.timeout(STOPPED_WITHIN):
                        await asyncio.wrap_future(wing.ended)
                except TimeoutError:
                    self._screen.say(f"The {wing.name} does not stop in {STOPPED_WITHIN:.0f} s; it is left to its end.")

    def _stop_line(self) -> str:
        return self._options.stop_line or shlex.join(
            [
                str(Path(sys.argv[0]).absolute()),
                "dev",
                "--data",
                str(self._place.data),
                "--listen",
                str(self._place.listen),
                "--stop",
            ]
        )

    def _explain_line(self) -> str:
        program = str(Path(sys.argv[0]).absolute())
        return shlex.join([program, "explain", "--data-dir", str(self._place.data)]) + " TASK"

    async def _unless_told(self, work: Awaitable[T]) -> T:
        """What *work* gives. Raises ToldToStop, with *work* cancelled, as soon as a person presses Ctrl-C."""
        job = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait([job, stop], return_when=asyncio.FIRST_COMPLETED)
            if not job.done():
                raise ToldToStop
            return job.result()
        finally:
            for each in (job, stop):
                each.cancel()
            await asyncio.gather(job, stop, return_exceptions=True)


async def _until_ready(wing: Wing) -> str:
    wing.start()
    ready, ended = asyncio.wrap_future(wing.ready), asyncio.wrap_future(wing.ended)
    either: list[asyncio.Future[Any]] = [ready, ended]
    done, _ = await asyncio.wait(either, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    if not done:
        raise WentWrong(
            f"the {wing.name} is not ready after {READY_WITHIN:.0f} s{wing.last_words and ': '}{wing.last_words}"
        )
    if not ready.done():
        raise WentWrong(f"the {wing.name} gave up with exit code {ended.result()}")
    return ready.result()


async def _told_within(told: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await told.wait()
    except TimeoutError:
        return


def _left(count: int) -> str:
    return {0: "", 1: "1 task and "}.get(count, f"{count} tasks and ")
