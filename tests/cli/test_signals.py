import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
from agent.cli.signals import stop_on_signals

async def main():
    told_to_stop = asyncio.Event()
    with stop_on_signals(told_to_stop):
        print("up", flush=True)
        await told_to_stop.wait()
        print("told", flush=True)
        if {stubborn}:
            await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stubborn", [False, True])
def test_asked_once_it_stops_in_order_asked_twice_it_stops_at_once(number: signal.Signals, *, stubborn: bool) -> None:
    program = PROGRAM.format(stubborn=stubborn)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.stdout.readline() == b"told\n"
        if stubborn:
            process.send_signal(number)

        assert process.wait(10) == (128 + number if stubborn else 0)


HANGS = """
import asyncio, threading
from agent.cli.signals import end_at_last, stop_on_signals

async def main():
    told_to_stop = asyncio.Event()
    with stop_on_signals(told_to_stop):
        asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
        print("up", flush=True)
        await end_at_last(told_to_stop, 0.3)

asyncio.run(main())
"""


def test_a_thread_that_never_ends_does_not_keep_the_process_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
        assert process.stderr
        assert b"does not let go" in process.stderr.read()


FAILS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from agent.cli.signals import end_within

ThreadPoolExecutor().submit(threading.Event().wait)
end_within(0.3, 1)
raise SystemExit(1)
"""


def test_a_process_that_failed_is_over_with_its_exit_code_even_where_a_thread_never_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", FAILS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.wait(10) == 1
