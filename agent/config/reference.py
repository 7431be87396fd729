"""Every setting there is, in the order in which people are shown them. The rows stand in the files named ``*_rows``."""

from agent.config.instance_rows import INSTANCE
from agent.config.offer_rows import LOGGING_DRIVERS, OFFER
from agent.config.setting import OWN_PREFIX, Setting, key_of
from agent.config.task_rows import TASKS
from agent.config.upkeep_rows import UPKEEP

__all__ = ["LOGGING_DRIVERS", "OWN_PREFIX", "SETTINGS", "Setting", "key_of"]

SETTINGS: tuple[Setting, ...] = INSTANCE + OFFER + TASKS + UPKEEP
