"""Images that go while the disk is too full: sooner, and by the same rules."""

import asyncio
from collections.abc import Collection
from datetime import timedelta

import pytest

from agent.images.decisions import CleanupRules
from agent.images.loop import Gone
from agent.model.names import Image
from tests.images.scene import Host, container, hours, image


def make_room(host: Host, until: int = 999, most: int = 999) -> Gone:
    """Make room, which there is once so many have gone."""

    async def has_room() -> bool:
        return len(host.removed) >= until

    return asyncio.run(host.cleaner.make_room(has_room, most))


def aged(*keys: str, rules: CleanupRules | None = None) -> Host:
    """A host whose images were fetched one minute after the other, a moment ago."""
    host = Host(rules=rules)
    for number, key in enumerate(keys):
        host.now = hours(number / 60)
        host.fetch(f"{key}:1", key)
    return host


def test_neither_age_nor_the_number_of_a_round_keeps_an_image() -> None:
    host = aged(*"cabdefgh", rules=CleanupRules(images=5, age=timedelta(hours=1)))

    assert make_room(host) == Gone(images=8)
    assert host.removed == [f"{key}:1" for key in "cabdefgh"]


def test_no_more_go_than_are_needed() -> None:
    host = aged(*"abcdef")

    assert make_room(host, until=2) == Gone(images=2, images_left=4)
    assert host.removed == ["a:1", "b:1"]


def test_a_round_takes_a_few_at_a_time() -> None:
    assert make_room(aged(*"abcdef"), most=4) == Gone(images=4, images_left=2)


def test_images_in_use_held_pulled_or_excluded_stay() -> None:
    host = aged(*"abcde", rules=CleanupRules(excluded=frozenset({"d:1"})))
    host.running = [container("a")]
    host.wanted = {Image("b:1")}
    host.pulling = {Image("c:1")}

    make_room(host)

    assert host.removed == ["e:1"]


def test_where_images_are_not_to_be_cleaned_up_a_full_disk_does_not_matter() -> None:
    host = aged(*"ab", rules=CleanupRules(stay=True, untracked=True))
    host.shown["u"] = image("u", "u:1")

    assert make_room(host) == Gone()


def test_where_images_on_the_host_are_preferred_only_those_go_that_were_fetched() -> None:
    host = aged("a", rules=CleanupRules(fetched_only=True))
    host.shown["built"] = image("built", "built:1")
    host.wanted = {Image("built:1")}
    asyncio.run(host.cleaner.look())
    host.wanted = set()

    make_room(host)
    assert host.removed == ["a:1"]

    host.cleaner._rules = CleanupRules()
    make_room(host)
    assert host.removed == ["a:1", "built:1"]


def test_images_and_containers_of_nobodys_go_last_only_by_leave_and_when_old() -> None:
    host = aged("a", rules=CleanupRules(untracked=True, images=1, containers=1))
    host.shown["old"] = image("old", "old:1")
    host.shown["young"] = image("young", "young:1", created=host.now)
    for number in range(3):
        host.running.append(container(f"other-{number}", of_ecs=False, ended=True, name=f"c{number}"))
        host.finished[host.running[-1].id] = host.now - timedelta(hours=4)
    host.running.append(container("other", of_ecs=False, ended=True, name="fresh"))
    host.finished[host.running[-1].id] = host.now

    assert make_room(host) == Gone(images=2, containers=3)
    assert host.removed == ["c0", "c1", "c2", "a:1", "old:1"]


def test_a_disk_that_takes_no_word_any_more_is_no_reason_to_stop() -> None:
    class Full(Host):
        async def keep(self, records: Collection[object]) -> None:
            raise OSError(28, "no space left on device")

        async def forget(self, ids: Collection[str], names: Collection[Image]) -> None:
            raise OSError(28, "no space left on device")

    host = aged("a", "b")
    asyncio.run(host.cleaner.look())
    host.__class__ = Full
    host.now += timedelta(minutes=1)

    assert make_room(host) == Gone(images=2)
    with pytest.raises(OSError, match="no space"):
        asyncio.run(host.cleaner.clean())
