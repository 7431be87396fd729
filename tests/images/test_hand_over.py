"""What the daemon hands to the cleanup of images: what tasks hold, what is being pulled, and what the settings say."""

from pathlib import Path
from typing import Any

from agent.config.load import load
from agent.docker.engine_driver import DockerEngine
from agent.images.held import Held
from agent.model.decision import Decision
from agent.model.names import Image
from agent.model.task import ImageSource
from agent.shelves import Shelves
from tests.images.scene import Host
from tests.store.made_up import a_task, arn


def shelves(held: Held, **environ: str) -> Shelves:
    """What the daemon joins the cleanup with, but for Docker, and a journal of images alone."""
    journal: Any = Host()
    journal.images = journal
    docker = DockerEngine(None)  # type: ignore[arg-type] # nobody asks it
    return Shelves.of(load({"ECS_DATADIR": str(Path("/d")), **environ}), docker, journal, held)


def test_images_of_tasks_and_those_that_are_being_pulled_are_spoken_for_as_long_as_that_lasts() -> None:
    held = Held([a_task("a")])
    shelf = shelves(held)
    cleaner = shelf.cleaner
    with shelf.progress.of(ImageSource(Image("docker.io/library/web:1"))):
        assert cleaner._claims().wanted == {"busybox:1"}
        assert cleaner._claims().pulling == {"web:1"}

    shelf.hear(Decision(forgotten=(arn("a"),)))
    assert not cleaner._claims().hold(["busybox:1", "web:1"], "sha256:1")


def test_the_settings_come_to_the_cleanup_as_they_are_on_an_empty_disk_and_on_a_full_one() -> None:
    rules = shelves(Held([])).cleaner._rules
    kept = shelves(Held([]), ECS_DISABLE_IMAGE_CLEANUP="true").cleaner._rules
    preferred = shelves(Held([]), ECS_IMAGE_PULL_BEHAVIOR="prefer-cached").cleaner._rules

    assert [(one.stay, one.fetched_only) for one in (rules, kept, preferred)] == [
        (False, False),
        (True, False),
        (False, True),
    ]
