import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta

import pytest

from agent.images.decisions import CleanupRules
from agent.images.ports import HostImage
from agent.model.errors import TryAgain
from agent.model.names import DockerId, Image
from tests.images.scene import T0, Host, container, hours, image

APP = Image("app:1")


def clean(host: Host, after: float = 0.0) -> list[str]:
    """What goes in a round that many hours after the start."""
    host.now = hours(after)
    host.removed.clear()
    asyncio.run(host.cleaner.clean())
    return host.removed


def test_an_image_that_no_task_uses_goes_an_hour_after_it_was_pulled() -> None:
    host = Host()
    host.fetch("app:1", "a")

    assert clean(host, 0.9) == []
    assert clean(host, 1.0) == ["app:1"]
    assert (host.shown, host.kept, host.fetched) == ({}, {}, {})


def test_another_pull_does_not_make_an_image_younger() -> None:
    host = Host()
    host.fetch("app:1", "a")
    assert clean(host, 0.5) == []
    host.fetched[APP] = host.now

    assert clean(host, 1.0) == ["app:1"]


@pytest.mark.parametrize("ended", [False, True])
def test_an_image_of_a_container_stays_whoever_made_that_and_whether_it_runs_or_not(*, ended: bool) -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.fetch("web:1", "b")
    host.running = [container("a", ended=ended), container("b", of_ecs=False, ended=ended)]

    assert clean(host, 9) == []

    host.running = []
    assert sorted(clean(host, 10)) == ["app:1", "web:1"]


@pytest.mark.parametrize("name", [f"sha256:{'a' * 64}", "a" * 64])
def test_an_image_that_a_task_names_by_its_id_stays_even_without_a_container(name: str) -> None:
    host = Host()
    host.fetch("app:1", f"sha256:{'a' * 64}")
    host.wanted = {Image(name)}

    assert clean(host, 9) == []


def test_an_image_that_a_task_names_stays_even_without_a_container() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.wanted = {Image("docker.io/app:1")}

    assert clean(host, 9) == []


def test_an_image_that_is_being_pulled_stays_also_before_it_has_its_tag() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.fetch("app:1", "b")
    host.fetch("web:1", "w")
    assert clean(host, 0) == []
    host.pulling = {Image("app:7")}

    assert clean(host, 9) == ["app:1", "web:1"]
    assert list(host.shown) == ["a"]
    host.pulling = set()
    assert clean(host, 10) == ["app@sha256:a"]


def test_the_image_that_was_unused_for_the_longest_time_goes_first_and_so_many_at_a_time() -> None:
    host = Host(rules=CleanupRules(images=2))
    for key in "abc":
        host.fetch(f"{key}:1", key)
    for hour, key in enumerate("cab", start=1):
        host.now = hours(hour)
        host.cleaner.dropped({Image(f"{key}:1"): None})

    assert clean(host, 4) == ["c:1", "a:1"]
    assert clean(host, 5) == ["b:1"]


def test_an_image_counts_as_used_until_its_last_task_was_cleaned_up() -> None:
    host = Host(rules=CleanupRules(images=1))
    host.fetch("app:1", "a")
    host.fetch("web:1", "w")
    assert clean(host) == []
    host.now = hours(2)
    host.cleaner.dropped({APP: None})

    assert clean(host, 3) == ["web:1"]
    assert host.kept["a"].used_at == hours(2)
    assert host.cleaner._dropped == {}
    assert clean(host, 4) == ["app:1"]


def test_an_image_counts_as_used_until_its_tasks_stopped_where_that_is_known() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.cleaner.dropped({APP: hours(2)})
    host.cleaner.dropped({APP: hours(1)})
    asyncio.run(host.cleaner.look())

    assert host.kept["a"].used_at == hours(2)


def test_an_image_counts_as_used_for_as_long_as_a_container_or_a_task_was_seen_to_use_it() -> None:
    host = Host(rules=CleanupRules(images=1))
    for key in "abc":
        host.fetch(f"{key}:1", key)
    host.running = [container("a")]
    host.wanted = {Image("b:1")}
    assert clean(host, 2) == ["c:1"]
    host.running, host.wanted = [container("b")], set()
    assert clean(host, 3) == ["a:1"]
    assert host.kept["b"].used_at == hours(3)


def test_an_image_of_another_agents_task_is_not_ours_to_remove() -> None:
    host = Host(image("a", "app:1"))
    host.running = [container("a")]
    clean(host, 1)
    host.running = []

    assert clean(host, 9) == []


def test_names_that_never_go_keep_their_image() -> None:
    host = Host(rules=CleanupRules(excluded=frozenset({"app:1"})))
    host.fetch("app:1", "a")
    host.fetch("app:2", "a")

    assert clean(host, 9) == []


def test_an_image_whose_tag_went_on_to_another_goes_by_its_digest() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.fetch("app:1", "b")
    host.wanted = {APP}

    assert clean(host, 9) == ["app@sha256:a"]
    assert list(host.shown) == ["b"]


def test_a_name_that_a_user_gave_stays_and_the_image_with_it() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.shown["a"] = image("a", "app:1", "mine:1", "app@sha256:a")

    assert clean(host, 2) == ["app:1"]
    assert host.shown["a"].tags == ("mine:1",)


def test_images_that_no_task_has_had_stay() -> None:
    assert clean(Host(image("a", "app:1"), image("b")), 9) == []


def test_an_image_that_docker_will_not_remove_is_remembered_and_tried_again() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.fetch("web:1", "w")
    host.busy = {"app:1"}

    assert clean(host, 2) == ["web:1"]
    host.busy = set()
    assert clean(host, 3) == ["app:1"]


def test_a_pull_that_begins_after_the_look_keeps_its_image_and_forgets_that_it_was_fetched() -> None:
    class Racing(Host):
        async def forget(self, ids: Collection[str], names: Collection[Image]) -> None:
            await super().forget(ids, names)
            self.pulling = {APP}

    host = Racing()
    host.fetch("app:1", "a")

    assert clean(host, 2) == []
    assert "a" in host.shown
    assert host.fetched == {}


def test_an_image_that_somebody_else_removed_is_forgotten() -> None:
    host = Host()
    host.fetch("app:1", "a")
    clean(host)
    del host.shown["a"]

    assert clean(host, 2) == []
    assert (host.kept, host.fetched) == ({}, {})


def test_a_pull_that_ends_after_the_images_were_listed_is_not_forgotten() -> None:
    class Racing(Host):
        async def images(self) -> Sequence[HostImage]:
            listed = await super().images()
            self.fetch("app:1", "a")
            return listed

    host = Racing()
    clean(host)

    assert APP in host.fetched


def test_while_docker_is_down_nothing_is_forgotten() -> None:
    host = Host()
    host.fetch("app:1", "a")
    host.is_down = True

    with pytest.raises(TryAgain):
        clean(host, 2)

    host.is_down = False
    host.cleaner.dropped({APP: None})
    assert clean(host, 3) == ["app:1"]


def test_what_is_of_nobody_goes_only_if_asked_the_smallest_first_with_what_is_left_of_the_round() -> None:
    images = [
        image("big", "big:1", size=9),
        image("small", "small:1", size=1),
        image("nameless", size=5),
        image("young", "young:1", created=hours(1)),
        image("used", "used:1"),
    ]
    kept, cleaned = Host(*images), Host(*images, rules=CleanupRules(untracked=True, images=3))
    for host in (kept, cleaned):
        host.running = [container("used", of_ecs=False)]
        host.fetch("app:1", "a")

    assert clean(kept, 1.5) == ["app:1"]
    assert clean(cleaned, 1.5) == ["app:1", "small:1", "nameless"]


def test_ended_containers_of_nobody_go_as_many_as_asked_for_once_they_are_over_for_long_enough() -> None:
    rules = CleanupRules(untracked=True, containers=2, container_age=timedelta(hours=3))
    host = Host(image("a", "app:1"), rules=rules)
    host.running = [
        container("a", of_ecs=False, ended=True, name="just-now"),
        container("a", of_ecs=False, name="runs"),
        container("a", of_ecs=True, ended=True, name="of-a-task"),
        container("a", of_ecs=False, ended=True, name="busy"),
        container("a", of_ecs=False, ended=True, name="never-ran"),
        container("a", of_ecs=False, ended=True, name="old"),
        container("a", of_ecs=False, ended=True, name="one-too-many"),
    ]
    host.finished = {DockerId("just-now"): hours(7), DockerId("old"): T0, DockerId("one-too-many"): T0}
    host.busy = {"busy"}

    assert clean(host, 9) == ["never-ran", "old"]


def test_containers_of_nobody_stay_unless_asked() -> None:
    host = Host(image("a", "app:1"))
    host.running = [container("a", of_ecs=False, ended=True)]

    assert clean(host, 99) == []
