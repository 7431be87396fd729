"""What the daemon hands to the cleanup of images: what tasks hold, what is being pulled, and what the settings say."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from agent.config.load import load
from agent.daemon import House
from agent.docker.pull_progress import PullProgress
from agent.images.held import Held
from agent.model.decision import Decision
from agent.model.names import Image
from agent.model.task import ImageSource
from tests.images.scene import Host
from tests.store.made_up import a_task, arn


def a_house(**environ: str) -> House:
    """As much of the daemon as joins the cleanup with the rest."""
    rooms = SimpleNamespace(settings=load({"ECS_DATADIR": str(Path("/d")), **environ}), docker=None, journal=Host())
    rooms.journal.images = rooms.journal
    return cast("House", rooms)


def test_images_of_tasks_and_those_that_are_being_pulled_are_spoken_for_as_long_as_that_lasts() -> None:
    held, progress = Held([a_task("a")]), PullProgress()
    cleaner = House._cleaner(a_house(), held, progress)
    with progress.of(ImageSource(Image("docker.io/library/web:1"))):
        assert cleaner._claims().wanted == {"busybox:1"}
        assert cleaner._claims().pulling == {"web:1"}

    held.hear(Decision(forgotten=(arn("a"),)))
    assert not cleaner._claims().hold(["busybox:1", "web:1"], "sha256:1")


def test_the_settings_come_to_the_cleanup_as_they_are_on_an_empty_disk_and_on_a_full_one() -> None:
    rules = House._cleaner(a_house(), Held([]), PullProgress())._rules
    kept = House._cleaner(a_house(ECS_DISABLE_IMAGE_CLEANUP="true"), Held([]), PullProgress())._rules
    preferred = House._cleaner(a_house(ECS_IMAGE_PULL_BEHAVIOR="prefer-cached"), Held([]), PullProgress())._rules

    assert [(one.stay, one.fetched_only) for one in (rules, kept, preferred)] == [
        (False, False),
        (True, False),
        (False, True),
    ]
