"""``dockworker run``: the agent, as a service runs it.

Exit codes: 0 stopped on request, 1 worth a restart, 5 not worth one (a setting that is wrong stays wrong).
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from agent import daemon
from agent.cli import logs
from agent.cli.run_options import parse, variables
from agent.cli.settings_file import read_all
from agent.cli.signals import end_at_last, end_within, stop_on_signals
from agent.config.load import BadSettings
from agent.config.names import why
from agent.config.settings import Settings
from agent.host.notify_driver import Notify, feed_watchdog
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART
from agent.version import VERSION

log = structlog.get_logger(__name__)

THREADS = 64
"""More than names are looked up at once: a name server that does not answer holds each for half a minute, and the usual
six of a small machine would all be held (a proxy's name is looked up for each call), with cgroups waiting for one."""
ENDS_WITHIN = 15.0
"""Seconds for the last reports, and for closing what is open; systemd's TimeoutStopSec is longer."""


def main(arguments: Sequence[str]) -> int:
    """Run the agent until told to stop; gives the exit code."""
    given = parse(arguments)
    if given.version:
        print(f"dockworker {VERSION}")
        return 0
    try:
        loaded = read_all(os.environ, given.config, strict=given.strict, options=variables(given))
    except BadSettings as bad:
        sys.stderr.write("dockworker: the settings cannot be used:\n")
        sys.stderr.writelines(f"  {complaint}\n" for complaint in bad.complaints)
        return NOT_WORTH_A_RESTART
    os.environ.update(loaded.environ)
    with logs.kept(loaded.settings):
        for remark in loaded.remarks:
            log.warning("setting_doubted", remark=remark)
        return asyncio.run(serve(loaded.settings, os.environ))


async def serve(settings: Settings, environ: Mapping[str, str]) -> int:
    """The daemon with a signal handler and a line to systemd around it; gives the exit code."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    if settings.not_honoured:
        log.warning("settings_not_honoured", names={name: why(name) for name in settings.not_honoured})
    notify = Notify.from_environment(environ, os.getpid())
    told_to_stop = asyncio.Event()

    def ready(instance: str) -> None:
        notify.ready(f"connected as {instance}")

    def failed(code: int) -> None:
        """Closing after a failure has a bound of its own, and nobody vouches for a loop that hangs in it."""
        end_within(ENDS_WITHIN, code)
        if not told_to_stop.is_set():
            watchdog.cancel()
            last_resort.cancel()

    try:
        with stop_on_signals(told_to_stop):
            async with asyncio.TaskGroup() as jobs:
                watchdog = jobs.create_task(feed_watchdog(notify, told_to_stop), name="watchdog")
                last_resort = jobs.create_task(end_at_last(told_to_stop, most_seconds(settings)), name="last-resort")
                code = await daemon.serve(
                    settings, told_to_stop=told_to_stop, ready=ready, draining=notify.draining, failed=failed
                )
    except Exception:
        log.exception("daemon_broke")
        return WORTH_A_RESTART
    return code


def most_seconds(settings: Settings) -> float:
    """How long the end may take at most: its own bounds, and a little for whatever hangs."""
    drain = 0.0 if settings.drain_on_stop == "off" else settings.drain_timeout.total_seconds()
    return drain + ENDS_WITHIN
