import pytest

from agent.images.ports import Fullness, Look
from agent.images.watermarks import Marks, has_room, refusal, wants_room

MARKS = Marks(80, 85, 95)


def disk(used: float = 0, inodes: float = 0, *, path: str = "/var/lib/docker", device: int = 1) -> Fullness:
    return Fullness(path, device, used, inodes)


@pytest.mark.parametrize(
    ("used", "inodes", "wants", "has", "refuses"),
    [
        (79, 10, False, True, False),
        (80, 10, False, True, False),
        (81, 10, False, False, False),
        (84.9, 0, False, False, False),
        (85, 0, True, False, False),
        (10, 85, True, False, False),
        (94.99, 94.99, True, False, False),
        (95, 0, True, False, True),
        (0, 100, True, False, True),
    ],
)
def test_bytes_and_inodes_count_alike(used: float, inodes: float, *, wants: bool, has: bool, refuses: bool) -> None:
    look = Look(docker=disk(used, inodes))

    assert (wants_room(look, MARKS), has_room(look, MARKS), bool(refusal(look, MARKS))) == (wants, has, refuses)


def test_the_refusal_names_the_disk_the_figure_and_the_mark() -> None:
    assert refusal(Look(docker=disk(97.8)), MARKS) == (
        "DiskPressure: 97 % of bytes of /var/lib/docker used, critical is 95 %"
    )
    assert "inodes of /var/lib/docker" in refusal(Look(docker=disk(1, 99)), MARKS)


def test_our_own_disk_refuses_tasks_and_yet_no_image_goes_for_it() -> None:
    look = Look(docker=disk(10), data=disk(99, path="/data", device=2))

    assert "of /data" in refusal(look, MARKS)
    assert not wants_room(look, MARKS)


def test_where_dockers_disk_is_not_seen_our_own_stands_for_it() -> None:
    assert wants_room(Look(data=disk(90, path="/data")), MARKS)


def test_two_directories_of_one_disk_are_one_disk() -> None:
    assert [one.path for one in Look(docker=disk(1), data=disk(1, path="/data")).all] == ["/var/lib/docker"]


def test_while_a_disk_does_not_answer_nothing_is_taken_away() -> None:
    look = Look(data=disk(99, path="/data"), silent=("/var/lib/docker",))

    assert not wants_room(look, MARKS)
    assert has_room(look, MARKS)
