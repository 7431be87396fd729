from dataclasses import replace
from datetime import timedelta

import pytest

from agent.config.settings import Settings
from agent.images import rules
from agent.images.decisions import CleanupRules
from agent.model.names import Image
from agent.model.status import PullBehavior


def listed(image: Image) -> str:
    return image if ":" in image else f"{image}:latest"


def test_the_defaults_are_those_of_the_settings() -> None:
    assert rules.rules(Settings(), listed) == replace(
        CleanupRules(), excluded=frozenset({"amazon/amazon-ecs-agent:latest"})
    )
    assert rules.interval(Settings()) == timedelta(minutes=30)


def test_every_setting_comes_through() -> None:
    settings = Settings(
        image_minimum_cleanup_age=timedelta(hours=2),
        num_images_delete_per_cycle=7,
        exclude_untracked_image=("app",),
        prepull_images=("web:1",),
        enable_untracked_image_cleanup=True,
        non_ecs_image_minimum_cleanup_age=timedelta(hours=4),
        nonecs_num_containers_delete_per_cycle=9,
        cleanup_wait=timedelta(minutes=1),
    )

    assert rules.rules(settings, listed) == CleanupRules(
        age=timedelta(hours=2),
        images=7,
        excluded=frozenset({"app", "app:latest", "web:1", "amazon/amazon-ecs-agent:latest"}),
        untracked=True,
        untracked_age=timedelta(hours=4),
        containers=9,
        container_age=timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    "off", [Settings(disable_image_cleanup=True), Settings(pull_behavior=PullBehavior.PREFER_CACHED)]
)
def test_nothing_is_cleaned_up_where_the_operator_says_so_or_prefers_what_is_on_the_host(off: Settings) -> None:
    assert rules.interval(off) is None
