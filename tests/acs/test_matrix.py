"""Every message of the protocol, over a socket, with the agent's own engine and journal behind it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.acs.loop import AcsLoop, World
from agent.acs.manifests import Manifests
from agent.engine.engine import Engine
from agent.model.acts import Act
from agent.model.clock import utc_now
from agent.model.decision import Decision
from agent.model.rules import Rules
from agent.runner.loop import Runner
from agent.store.journal_driver import Journal
from tests.acs.world import SETTINGS, Accepted, Endpoints, Signer, Time, Vault, a_server
from tests.wire import matrix
from tests.wire.matrix import Frame, Row

SENTINEL = matrix.addressed("PayloadMessage", "end", tasks=[])
"""Its acknowledgement leaves after all that the messages before it came to."""


class Idle:
    """Nobody does what the engine wants."""

    async def perform(self, act: Act) -> None:
        return None


@asynccontextmanager
async def an_agent(url: str, folder: Path) -> AsyncIterator[Engine]:
    """A session that is joined to an engine and a journal, as in the daemon."""
    manifests, time, engine = Manifests(), Time(), Engine(Rules())

    def committed(decided: Decision) -> None:
        manifests.hear(decided.manifests)

    async with Journal.open(folder / "agent.db") as journal:
        runner = Runner(engine, journal, clock=utc_now, after_commit=committed)
        loop = AcsLoop(
            SETTINGS,
            engine=runner,
            vault=Vault(),
            endpoints=Endpoints(url),
            signer=Signer(),
            manifests=manifests,
            world=World(monotonic=lambda: time.now, sleep=time.sleep, chance=lambda: time.chance),
        )
        jobs = [asyncio.create_task(runner.run(Idle())), asyncio.create_task(loop.run())]
        try:
            yield engine
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.wait(jobs)


async def exchange(server: Accepted, told: Frame, *, in_pieces: bool = False, as_octets: bool = False) -> list[Frame]:
    """What the agent answers to *told*, up to where it answers the sentinel."""
    text = json.dumps(told).encode()
    if in_pieces:
        first, second = text[:9], text[9:]
        server.write(bytes([0x01, len(first)]) + first + b"\x80\x7e" + len(second).to_bytes(2) + second)
    elif as_octets:
        await server.ws.send_bytes(text)
    else:
        await server.ws.send_str(text.decode())
    await server.ws.send_str(json.dumps(SENTINEL))
    answers = []
    while (answer := json.loads((await server.receive()).data)) != matrix.ack("end"):
        answers.append(answer)
    return answers


@pytest.mark.parametrize("row", matrix.ROWS, ids=lambda row: row.name)
def test_each_message_is_answered_as_the_protocol_has_it_and_nothing_else_leaves(row: Row, tmp_path: Path) -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, tmp_path):
            server = await acs.accepted()
            if row.needs is not None:
                await exchange(server, row.needs)

            assert await exchange(server, row.told) == list(row.answers)
            assert await exchange(server, matrix.ROWS[0].told) == list(matrix.ROWS[0].answers), "it lives"

    asyncio.run(story())


@pytest.mark.parametrize("row", [row for row in matrix.ROWS if row.answers and not row.needs], ids=lambda row: row.name)
def test_neither_the_kind_of_a_frame_nor_its_pieces_change_what_is_answered(row: Row, tmp_path: Path) -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, tmp_path):
            server = await acs.accepted()

            assert await exchange(server, row.told, in_pieces=True) == list(row.answers)
            assert await exchange(server, row.told, as_octets=True) == list(row.answers), "a repetition is answered"

    asyncio.run(story())


def test_what_is_attached_is_known_before_ecs_hears_that_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_server() as acs, an_agent(acs.url, tmp_path) as engine:
            server = await acs.accepted()
            for told in (matrix.ATTACH_TASK, matrix.ATTACH_INSTANCE, matrix.CONFIRM):
                await exchange(server, told)
            async with Journal.open(tmp_path / "agent.db") as journal:
                saved = await journal.load()

            assert {one.key for one in saved.attachments} == {matrix.MAC, matrix.TRUNK_MAC, "vol0123456789abcdef0"}
            assert dict(engine.attachments) == {one.arn: one for one in saved.attachments}

    asyncio.run(story())
