import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from agent.docker import references
from agent.docker.engine_driver import DockerEngine
from agent.docker.manifest_driver import AT_ONCE, ManifestDriver
from agent.model.errors import GiveUp, TryAgain
from agent.model.names import Image

APP = Image("r.example/team/app:1")
DIGEST = "sha256:" + "ab" * 32
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def an_engine(answer: Answer, patience: float = 5.0) -> AsyncIterator[ManifestDriver]:
    """An engine that answers the one question by *answer*."""

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})

    app = web.Application()
    app.router.add_get("/version", version)
    app.router.add_get("/v1.41/distribution/{name:.*}/json", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with DockerEngine.connect(f"tcp://{host}:{port}") as engine, asyncio.timeout(20):
            yield ManifestDriver(engine, patience=timedelta(seconds=patience))
    finally:
        await runner.cleanup()


async def ask(driver: ManifestDriver, login: str = "e30=") -> str:
    return await driver.digest(APP, references.read(APP), login)


def says(document: object, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(document, status=status)

    return answer


def digest_from(answer: Answer, patience: float = 5.0) -> str:
    async def story() -> str:
        async with an_engine(answer, patience) as driver:
            return await ask(driver)

    return asyncio.run(story())


def test_the_digest_is_that_of_the_descriptor_and_the_login_goes_along() -> None:
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.match_info["name"], request.headers["X-Registry-Auth"]))
        return web.json_response({"Descriptor": {"mediaType": OCI_INDEX, "digest": DIGEST, "size": 1}, "Platforms": []})

    assert digest_from(answer) == DIGEST
    assert asked == [(APP, "e30=")]


@pytest.mark.parametrize(
    "document",
    [
        {"Descriptor": {"mediaType": "application/vnd.docker.distribution.manifest.v1+json", "digest": DIGEST}},
        {"Descriptor": {"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws", "digest": DIGEST}},
        {"Descriptor": {"mediaType": OCI_INDEX, "digest": None}},
        {"Descriptor": None},
        {},
    ],
)
def test_where_there_is_no_digest_that_could_be_pulled_there_is_none(document: object) -> None:
    assert digest_from(says(document)) == ""


def test_an_engine_that_does_not_know_the_question_has_no_answer() -> None:
    assert digest_from(says({"message": "page not found"}, 404)) == ""


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "manifest unknown: manifest unknown", GiveUp),
        (401, "unauthorized: authentication required", GiveUp),
        (500, "dial tcp: connection refused", TryAgain),
        (429, "toomanyrequests", TryAgain),
    ],
)
def test_what_the_registry_refuses_has_the_name_that_ecs_users_know(
    status: int, text: str, kind: type[GiveUp | TryAgain]
) -> None:
    with pytest.raises(kind) as told:
        digest_from(says({"message": text}, status))

    assert isinstance(told.value, GiveUp | TryAgain)
    assert told.value.name == "CannotPullImageManifestError"
    assert str(told.value) == text


def test_a_registry_that_takes_too_long_is_not_waited_for() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    with pytest.raises(TryAgain, match=r"MANIFEST_PULLED; timed out after waiting 0\.2s") as told:
        digest_from(never, 0.2)

    assert told.value.name == "DockerTimeoutError"


def test_only_so_many_are_asked_at_once_and_all_are_answered() -> None:
    async def story() -> None:
        busy = 0
        full, go = asyncio.Event(), asyncio.Event()

        async def answer(request: web.Request) -> web.Response:
            nonlocal busy
            if request.match_info["name"] == APP:
                busy += 1
                if busy == AT_ONCE:
                    full.set()
                await go.wait()
            return web.json_response({"Descriptor": {"mediaType": OCI_INDEX, "digest": DIGEST}})

        async with an_engine(answer) as driver:
            asking = [asyncio.create_task(ask(driver)) for _ in range(3 * AT_ONCE)]
            await full.wait()
            later = ManifestDriver(driver._engine)  # what was sent before its question has arrived by its answer
            other = Image("s.example/app:1")
            assert await later.digest(other, references.read(other), "e30=") == DIGEST
            assert busy == AT_ONCE
            go.set()
            assert set(await asyncio.gather(*asking)) == {DIGEST}

    asyncio.run(story())


def test_a_registry_that_gives_no_digests_is_left_in_peace() -> None:
    async def story() -> None:
        asked = 0

        async def answer(_: web.Request) -> web.Response:
            nonlocal asked
            asked += 1
            return web.json_response({"Descriptor": {"mediaType": OCI_INDEX, "digest": DIGEST}})

        async with an_engine(answer) as driver:
            driver.gave_none(references.read(APP))
            assert await ask(driver) == ""
            assert asked == 0
            other = Image("s.example/app:1")
            assert await driver.digest(other, references.read(other), "e30=") == DIGEST

    asyncio.run(story())
