"""Each endpoint of metadata in each network mode, byte by byte as it stands in tests/endpoints/golden."""

import asyncio

import pytest

from tests.endpoints.metadata_scene import GOLDEN, Measured, Scene, docker_id, key

BEHIND = ("", "/task", "/taskWithTags", "/stats", "/task/stats", "/associations/gpu", "/associations/gpu/GPU-0")
LETTERS = {"bridge": "a", "host": "c", "none": "d", "awsvpc": "e"}
SECOND = ("metadata", "metadataWithTags", "stats", f"metadata/{docker_id('e')}", f"stats/{docker_id('e')}")

CASES = [
    (mode, f"/{version}/{key(mode, 'web')}{rest}", f"{version}{rest.replace('/', '-')}")
    for mode in LETTERS
    for version in ("v3", "v4")
    for rest in BEHIND
] + [("awsvpc", f"/v2/{path}", f"v2-{path.replace('/', '-').replace(docker_id('e'), 'container')}") for path in SECOND]


@pytest.mark.parametrize(("mode", "path", "name"), CASES, ids=[f"{mode} {name}" for mode, _, name in CASES])
def test_an_answer_is_what_is_written_down(mode: str, path: str, name: str) -> None:
    answer = asyncio.run(Scene(rates=Measured()).of(mode, path))

    status, body = (GOLDEN / mode / f"{name}.json").read_text(encoding="utf-8").removesuffix("\n").split("\n", 1)
    assert answer.body.decode() == body
    assert answer.status == int(status)
    assert answer.content_type == "application/json"


def test_no_answer_is_written_down_that_nobody_asks_for() -> None:
    written = {f"{path.parent.name}/{path.stem}" for path in GOLDEN.rglob("*.json")}

    assert written == {f"{mode}/{name}" for mode, _, name in CASES}
