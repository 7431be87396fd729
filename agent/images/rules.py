"""What the operator's settings mean for images."""

from collections.abc import Callable
from datetime import timedelta

from agent.config.settings import Settings
from agent.images.decisions import AMAZONS_AGENT, CleanupRules
from agent.images.watermarks import Marks
from agent.model.names import Image
from agent.model.status import PullBehavior


def rules(settings: Settings, listed: Callable[[Image], str]) -> CleanupRules:
    """What may go. A name counts as it was written, and as Docker lists it."""
    kept = (*settings.exclude_untracked_image, *settings.prepull_images, AMAZONS_AGENT)
    return CleanupRules(
        age=settings.image_minimum_cleanup_age,
        images=settings.num_images_delete_per_cycle,
        excluded=frozenset((*kept, *(listed(Image(name)) for name in kept))),
        untracked=settings.enable_untracked_image_cleanup,
        untracked_age=settings.non_ecs_image_minimum_cleanup_age,
        containers=settings.nonecs_num_containers_delete_per_cycle,
        container_age=settings.cleanup_wait,
        stay=settings.disable_image_cleanup,
        fetched_only=settings.pull_behavior is PullBehavior.PREFER_CACHED,
    )


def marks(settings: Settings) -> Marks:
    """How full a file system may become."""
    return Marks(settings.disk_low_watermark, settings.disk_high_watermark, settings.disk_critical_watermark)


def interval(settings: Settings) -> timedelta | None:
    """How often to clean up; None for never, as where images on the host are preferred."""
    if settings.disable_image_cleanup or settings.pull_behavior is PullBehavior.PREFER_CACHED:
        return None
    return settings.image_cleanup_interval
