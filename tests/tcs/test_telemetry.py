import asyncio

from structlog.testing import capture_logs

from agent.telemetry import AGAIN_AFTER, lasting
from tests.acs.world import PATIENCE, Time


def test_a_bug_in_telemetry_is_told_and_ends_nothing() -> None:
    async def story() -> None:
        time, begun = Time(), asyncio.Semaphore(0)

        async def breaks() -> None:
            begun.release()
            raise RuntimeError("a bug")

        with capture_logs() as lines:
            job = asyncio.create_task(lasting("figures", breaks, time.sleep))
            async with asyncio.timeout(PATIENCE):
                await begun.acquire()
                await time.wake(AGAIN_AFTER)
                await begun.acquire()
                await time.asleep(AGAIN_AFTER)
            job.cancel()
            await asyncio.wait({job})

        assert job.cancelled()
        assert [(line["event"], line["part"]) for line in lines] == [("telemetry_broke", "figures")] * 2

    asyncio.run(story())
