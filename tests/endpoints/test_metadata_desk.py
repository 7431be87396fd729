"""What is answered where there is nothing to show, who is told what, and what happens while Docker or ECS is silent."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from agent.endpoints import routes
from agent.endpoints.bodies import Place
from agent.endpoints.calls import Answer, Asked, Caller, Known
from agent.endpoints.looks_client import Looks, Tagger
from agent.endpoints.routes import Kind, Route
from agent.model.errors import TryAgain
from agent.model.names import DockerId
from agent.model.portrait import Portrait
from agent.model.status import Status
from tests.endpoints.metadata_scene import INSTANCE, Scene, arn, bridge, docker_id, key

WEB = key("bridge", "web")
NO_CONTAINER = "unable to get container ID from request: unable to get docker ID from v3 endpoint ID: nobody"
NO_TASK = "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: nobody"
NO_ID = "unable to get container id from request: unable to get docker ID from v3 endpoint ID: nobody"

UNKNOWN = [
    ("/v3/nobody", 500, f"V3 container metadata handler: {NO_CONTAINER}"),
    ("/v3/nobody/task", 500, f"V3 task metadata handler: {NO_TASK}"),
    ("/v3/nobody/taskWithTags", 500, f"V3 task metadata handler: {NO_TASK}"),
    ("/v3/nobody/stats", 400, f"V3 container stats handler: {NO_TASK}"),
    ("/v3/nobody/task/stats", 400, f"V3 task stats handler: {NO_TASK}"),
    ("/v3/nobody/associations/gpu", 400, f"V3 container associations handler: {NO_ID}"),
    ("/v3/nobody/associations/gpu/GPU-0", 400, f"V3 container associations handler: {NO_TASK}"),
    ("/v4/nobody", 404, f"V4 container metadata handler: {NO_CONTAINER}"),
    ("/v4/nobody/task", 404, f"V4 task metadata handler: {NO_TASK}"),
    ("/v4/nobody/taskWithTags", 404, f"V4 task metadata handler: {NO_TASK}"),
    ("/v4/nobody/stats", 404, f"V4 container stats handler: {NO_TASK}"),
    ("/v4/nobody/task/stats", 404, f"V4 task stats handler: {NO_TASK}"),
    ("/v4/nobody/associations/gpu", 400, f"V4 container associations handler: {NO_ID}"),
    ("/v4/nobody/associations/gpu/GPU-0", 400, f"V4 container associations handler: {NO_TASK}"),
]


def of(scene: Scene, path: str, mode: str = "bridge") -> tuple[int, object]:
    return read(asyncio.run(scene.of(mode, path)))


def read(answer: Answer) -> tuple[int, object]:
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(("path", "status", "text"), UNKNOWN)
def test_an_unknown_id_is_answered_in_the_words_of_its_version(path: str, status: int, text: str) -> None:
    assert of(Scene(), path) == (status, text)


@pytest.mark.parametrize(("path", "status", "text"), UNKNOWN)
def test_what_is_another_tasks_is_answered_like_what_is_unknown_and_never_as_a_failure(
    path: str, status: int, text: str
) -> None:
    answer = of(Scene(), path.replace("nobody", WEB), mode="host")

    assert answer == (404 if status == 500 else status, text.replace("nobody", WEB))


@pytest.mark.parametrize("known", [Known.HOST, Known.NOBODY])
def test_who_is_no_container_is_told_nothing_unless_the_id_alone_is_what_counts(known: Known) -> None:
    strict = read(asyncio.run(Scene().get(f"/v4/{WEB}", Caller(known))))
    open_house = read(asyncio.run(Scene(isolated=False).get(f"/v4/{WEB}", Caller(known))))

    assert (strict[0], open_house[0]) == (404, 200)


def test_a_container_is_known_once_it_is_created() -> None:
    assert of(Scene(), f"/v4/{key('bridge', 'next')}")[0] == 404


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("metadata", 400, "Unable to get task arn from request: unable to associate '172.17.0.4' with task"),
        ("stats/", 400, "Unable to get task arn from request: unable to associate '172.17.0.4' with task"),
    ],
)
def test_the_second_version_is_for_tasks_with_an_interface_of_their_own(path: str, status: int, text: str) -> None:
    for mode in ("bridge", "none", "host"):
        assert of(Scene(), f"/v2/{path}", mode) == (status, text)
    assert read(asyncio.run(Scene(isolated=False).get(f"/v2/{path}"))) == (status, text)


def test_the_second_version_tells_of_other_tasks_containers_where_tasks_are_not_isolated_but_never_their_stats() -> (
    None
):
    path, stats = f"/v2/metadata/{docker_id('a')}", f"/v2/stats/{docker_id('a')}"
    unknown = (400, f"Unable to generate metadata for container '{docker_id('a')}'")

    assert of(Scene(), path, "awsvpc") == unknown
    assert of(Scene(isolated=False), path, "awsvpc")[0] == 200
    assert of(Scene(isolated=False), stats, "awsvpc") == (400, f"Unable to get container stats for: {docker_id('a')}")
    assert of(Scene(), "/v2/metadata/x", "awsvpc") == (400, "Unable to generate metadata for container 'x'")


def test_while_docker_is_silent_a_container_has_no_metadata_and_a_task_has_what_its_row_says() -> None:
    scene = Scene()
    scene.docker.silent = True
    lack = f"nable to generate network response for container '{docker_id('a')}'"

    assert of(scene, f"/v3/{WEB}") == (500, f"U{lack}")
    assert of(scene, f"/v3/{WEB}/task") == (500, f"U{lack}")
    assert of(scene, f"/v4/{WEB}") == (500, f"u{lack}")
    status, body = of(scene, f"/v4/{WEB}/task")
    assert status == 200
    assert isinstance(body, dict)
    web = body["Containers"][0]
    assert "Networks" not in web
    assert (web["DockerName"][:15], web["ImageID"], web["CreatedAt"]) == (
        "ecs-shop-7-web-",
        "",
        "2024-05-01T12:00:00.5Z",
    )


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_an_ended_container_that_somebody_removed_from_docker_takes_the_metadata_from_nobody(version: str) -> None:
    scene = Scene()
    scene.docker.portraits = {docker_id("a"): scene.docker.portraits[docker_id("a")]}

    answer = asyncio.run(scene.of("bridge", f"/{version}/{key('bridge', 'web')}/task"))

    assert answer.status == 200
    job = next(one for one in json.loads(answer.body)["Containers"] if one["Name"] == "job")
    assert (job["KnownStatus"], job["ExitCode"]) == ("STOPPED", 0)
    assert "Networks" not in job


def test_while_docker_is_silent_statistics_are_empty_in_the_form_of_each_version() -> None:
    scene = Scene()
    scene.docker.silent = True
    ids = (docker_id("a"), docker_id("b"))

    assert of(scene, f"/v3/{WEB}/stats") == (200, None)
    assert of(scene, f"/v4/{WEB}/stats") == (200, {})
    assert of(scene, f"/v3/{WEB}/task/stats") == (200, dict.fromkeys(ids))
    assert of(scene, f"/v4/{WEB}/task/stats") == (200, {one: {} for one in ids})


@pytest.mark.parametrize("lack", ["stopped", "unmeasured"])
def test_a_container_that_is_not_measured_has_no_statistics(lack: str) -> None:
    scene = Scene(measures=lack != "unmeasured")
    task, _ = bridge()
    if lack == "stopped":
        scene.tasks[task.arn] = task.having(replace(task["web"], known=Status.STOPPED))
    text = f"Unable to get container stats for: {docker_id('a')}"
    ids = (docker_id("a"), docker_id("b"))

    assert of(scene, f"/v3/{WEB}/stats") == (400, text)
    assert of(scene, f"/v4/{WEB}/stats") == (500, text)
    assert of(scene, f"/v3/{WEB}/task/stats") == (200, dict.fromkeys(ids))


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_associations_are_those_of_the_container_but_one_is_told_to_the_whole_task(version: str) -> None:
    there = f"/{version}/{WEB}/associations"

    assert of(Scene(), f"{there}/elastic-inference") == (200, {"Associations": ["dev/1"]})
    assert of(Scene(), f"{there}/odd") == (200, {"Associations": None})
    assert asyncio.run(Scene().of("bridge", f"{there}/elastic-inference/dev/1")).body == b"x"
    assert asyncio.run(Scene().of("bridge", f"{there}/gpu/GPU-1")).body == b""
    assert of(Scene(), f"{there}/gpu/") == (
        400,
        f"{version.upper()} container associations handler: unable to get association name from request",
    )


def test_only_the_fourth_version_says_which_container_wants_to_know_tags() -> None:
    scene = Scene()

    assert of(scene, f"/v3/{WEB}/taskWithTags")[0] == of(scene, f"/v4/{WEB}/taskWithTags")[0] == 200
    assert scene.tags.askers == ["", "", "web", "web"]


def test_tags_that_ecs_does_not_tell_in_time_are_left_out_and_named() -> None:
    class Silent:
        async def resource_tags(self, arn_: str, _asker: str) -> Mapping[str, str]:
            if arn_ == INSTANCE:
                await asyncio.Event().wait()
            raise TryAgain("after 3 attempts: ThrottlingException: slow down")

    found = asyncio.run(Tagger(Silent(), lambda: INSTANCE, within=0.01).find(bridge()[0], "web"))

    assert (found.task, found.instance) == ({}, {})
    assert [one["ErrorMessage"] for one in found.errors] == [
        f"GetResourceTags failed for {INSTANCE} after 1 attempts: no answer within 0.01 s",
        f"GetResourceTags failed for {arn('bridge')} after 3 attempts: ThrottlingException: slow down",
    ]


def test_docker_and_ecs_are_asked_side_by_side() -> None:
    scene, both = Scene(), asyncio.Barrier(2)

    class Meets:
        """Answers nothing before the other is asked, too."""

        async def portrait(self, docker_id_: DockerId) -> Portrait | None:
            if docker_id_ == docker_id("a"):
                await both.wait()
            return await scene.docker.portrait(docker_id_)

        async def stats(self, docker_id_: DockerId) -> dict[str, Any] | None:
            return await scene.docker.stats(docker_id_)

        async def resource_tags(self, arn_: str, asker: str) -> Mapping[str, str]:
            if arn_ == INSTANCE:
                await both.wait()
            return await scene.tags.resource_tags(arn_, asker)

    async def ask() -> Answer | None:
        desk = replace(scene.desk(), looks=Looks(Meets()), tagger=Tagger(Meets(), lambda: INSTANCE))
        caller = Caller(Known.ADDRESS, arn("bridge"), "web")
        async with asyncio.timeout(5):
            return await desk.answer(Asked("GET", f"/v4/{WEB}/taskWithTags", "1.2.3.4:5", caller))

    answer = asyncio.run(ask())

    assert answer is not None
    assert answer.body == asyncio.run(Scene().of("bridge", f"/v4/{WEB}/taskWithTags")).body


def test_an_instance_without_a_name_has_no_tags_and_is_not_asked_about() -> None:
    scene = Scene()

    found = asyncio.run(Tagger(scene.tags, lambda: "").find(bridge()[0], ""))

    assert (found.instance, found.errors, len(scene.tags.askers)) == ({}, [], 1)


def test_where_the_zone_is_not_told_it_is_left_out() -> None:
    scene = Scene()
    desk = replace(scene.desk(), place=lambda: Place("blue", vpc_id="vpc-1"))
    asked = Asked("GET", f"/v4/{WEB}/task", "1.2.3.4:5", Caller(Known.ADDRESS, arn("bridge"), "web"))

    answer = asyncio.run(desk.answer(asked))

    assert answer is not None
    body = json.loads(answer.body)
    assert (body.get("AvailabilityZone"), body.get("AvailabilityZoneID"), body["VPCID"]) == (None, None, "vpc-1")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2/metadata", Route(2, Kind.TASK)),
        ("/v2/metadata/", Route(2, Kind.TASK)),
        ("/v2/metadataWithTags/", Route(2, Kind.TASK_WITH_TAGS)),
        ("/v2/metadata/ab", Route(2, Kind.CONTAINER, "ab")),
        ("/v2/stats/", Route(2, Kind.TASK_STATS)),
        ("/v2/stats/ab", Route(2, Kind.STATS, "ab")),
        ("/v3/k", Route(3, Kind.CONTAINER, "k")),
        ("/v4/k/task/stats", Route(4, Kind.TASK_STATS, "k")),
        ("/v4/k/associations/t", Route(4, Kind.ASSOCIATIONS, "k", "t")),
        ("/v4/k/associations/t/", Route(4, Kind.ASSOCIATION, "k", "t")),
        ("/v4/k/associations/t/a/b", Route(4, Kind.ASSOCIATION, "k", "t", "a/b")),
    ],
)
def test_a_path_says_what_is_asked_for(path: str, route: Route) -> None:
    assert routes.read(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v3",
        "/v3/",
        "/v3/k/",
        "/v3/k/tasks",
        "/v4/k/task/",
        "/v4/k/tasks/stats",
        "/v4/k/associations",
        "/v4/k/associations/",
        "/v2/metadata/a/b",
        "/v2/metadataWithTags/a",
        "/v2/credentials/x",
        "/v2",
        "/v5/k",
        "v3/k",
    ],
)
def test_other_paths_are_others(path: str) -> None:
    assert routes.read(path) is None
    assert asyncio.run(Scene().desk().answer(Asked("GET", path, "1.2.3.4:5"))) is None
