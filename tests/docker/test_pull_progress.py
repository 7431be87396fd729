from datetime import timedelta

import pytest

from agent.docker.pull_progress import Progress, PullProgress, Signs
from agent.model.names import Image
from agent.model.task import ImageSource
from tests.engine.rows import T0

APP = ImageSource(Image("app:1"))


def heard(*signs: dict[str, object]) -> Progress:
    told = Signs(T0)
    for sign in signs:
        told.hear(sign)
    return told.progress()


def layer(status: str, name: str, **detail: int) -> dict[str, object]:
    return {"status": status, "id": name, "progressDetail": detail}


def test_layers_are_counted_from_their_first_word_to_their_last() -> None:
    assert heard(
        {"status": "Pulling from team/app", "id": "1"},
        layer("Already exists", "a"),
        layer("Pulling fs layer", "b"),
        layer("Pulling fs layer", "c"),
        layer("Waiting", "c"),
        layer("Downloading", "b", current=10, total=100),
        layer("Downloading", "b", current=40, total=100),
    ) == Progress(T0, 1, 3, 40, 100)


def test_a_layer_that_is_here_counts_whole_even_while_it_is_unpacked() -> None:
    begun = [layer("Downloading", "b", current=40, total=100), layer("Download complete", "b")]

    assert heard(*begun, layer("Extracting", "b", current=7, total=100)) == Progress(T0, 0, 1, 100, 100)
    assert heard(*begun, layer("Pull complete", "b")) == Progress(T0, 1, 1, 100, 100)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"status": "Digest: sha256:1"},
        {"status": 7, "id": "b"},
        {"status": "Status: up to date", "id": None},
        {"status": "Downloading", "id": "b", "progressDetail": "much"},
        {"status": "Downloading", "id": "b", "progressDetail": {"current": -1, "total": "x"}},
    ],
)
def test_what_makes_no_sense_is_no_bytes(odd: dict[str, object]) -> None:
    assert (heard(odd).bytes_done, heard(odd).bytes_total) == (0, 0)


def test_of_two_pulls_of_one_image_the_first_is_shown_until_it_ends() -> None:
    times = iter([T0, T0 + timedelta(minutes=1)])
    progress = PullProgress(lambda: next(times))

    with progress.of(APP):
        with progress.of(ImageSource(Image("app:1"), credentials_id="role")):
            assert progress.snapshot() == {"app:1": Progress(T0)}
        assert progress.images() == {"app:1"}
    assert progress.snapshot() == {}
