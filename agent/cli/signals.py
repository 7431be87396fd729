"""How a person or systemd ends a process: asked once it stops in order, asked twice it stops at once."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HARD = 128


@contextmanager
def stop_on_signals(told_to_stop: asyncio.Event) -> Iterator[None]:
    """Set *told_to_stop* at the first SIGTERM or SIGINT; end the process at the second."""
    loop = asyncio.get_running_loop()

    def heard(number: signal.Signals) -> None:
        if told_to_stop.is_set():
            sys.stderr.write(f"\n{number.name} again: ended at once\n")
            sys.stderr.flush()
            os._exit(HARD + number)
        told_to_stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, heard, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def end_at_last(told_to_stop: asyncio.Event, seconds: float) -> None:
    """See that the process is over so many *seconds* after it was told to stop, whatever does not let go of it then.

    A disk that hangs holds its threads for ever. What was decided stands in the journal, and nothing else needs an end.
    """
    await told_to_stop.wait()
    end_within(seconds, 0)


def end_within(seconds: float, code: int) -> None:
    """See that the process is over so many *seconds* from now, with this exit *code* where something holds it."""
    last_resort = threading.Timer(seconds, _end, (code,))
    last_resort.daemon = True
    last_resort.start()


def _end(code: int) -> None:
    sys.stderr.write("dockworker: something does not let go (a disk, a user directory); ended all the same\n")
    sys.stderr.flush()
    os._exit(code)
