"""Says at once that something has failed which ends the agent: closing what is open may take long, or never end."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from types import TracebackType
from typing import Any, TypeVar

from agent.model.errors import WORTH_A_RESTART, Fatal

T = TypeVar("T")


class Alarm:
    """Rings once, with the exit code, at the first failure of all that is watched."""

    def __init__(self, failed: Callable[[int], None]) -> None:
        self._failed = failed
        self._has_rung = False

    def ring(self, error: BaseException | None) -> None:
        """Something ended with *error*. To be told to stop is no failure."""
        if isinstance(error, Exception) and not self._has_rung:
            self._has_rung = True
            self._failed(exit_code(error))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Ring if what is done here fails; the failure goes on its way."""
        try:
            yield
        except Exception as error:
            self.ring(error)
            raise


class WatchedJobs(asyncio.TaskGroup):
    """Jobs of which the first that fails rings *alarm*, before the others have ended; so does whoever begins them."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__()
        self._alarm = alarm

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarm.ring(error)
        await super().__aexit__(kind, error, trace)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Have *coro* done."""
        job = super().create_task(coro, name=name, context=context)
        job.add_done_callback(self._ended)
        return job

    def _ended(self, job: asyncio.Task[Any]) -> None:
        if not job.cancelled():
            self._alarm.ring(job.exception())


def exit_code(error: Exception) -> int:
    """With what the process ends over *error*."""
    if isinstance(error, ExceptionGroup) and (fatals := error.subgroup(Fatal)) is not None:
        return first_fatal(fatals).exit_code
    return error.exit_code if isinstance(error, Fatal) else WORTH_A_RESTART


def first_fatal(failures: BaseExceptionGroup[Fatal]) -> Fatal:
    """The first of them, wherever it is nested."""
    one = failures.exceptions[0]
    return first_fatal(one) if isinstance(one, BaseExceptionGroup) else one
