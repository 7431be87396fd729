"""What keeps the machine well: images, disks, health, logs."""

from datetime import timedelta

from agent.config import kinds
from agent.config.setting import ANY_TIME, PER_CENT, Setting, row

UPKEEP: tuple[Setting, ...] = (
    # images that nobody uses any more
    row(
        "disable_image_cleanup",
        "ECS_DISABLE_IMAGE_CLEANUP",
        kinds.flag(),
        "Keep every image, whatever a disk that fills would need.",
        json="ImageCleanupDisabled",
    ),
    row(
        "image_cleanup_interval",
        "ECS_IMAGE_CLEANUP_INTERVAL",
        kinds.duration(timedelta(minutes=10), "10m"),
        "How often unused images are removed.",
        json="ImageCleanupInterval",
    ),
    row(
        "image_minimum_cleanup_age",
        "ECS_IMAGE_MINIMUM_CLEANUP_AGE",
        ANY_TIME,
        "How long an image is kept after its first pull, at least.",
        json="MinimumImageDeletionAge",
    ),
    row(
        "num_images_delete_per_cycle",
        "ECS_NUM_IMAGES_DELETE_PER_CYCLE",
        kinds.whole_number(1, 10**6),
        "How many images go at a time, at most.",
        json="NumImagesToDeletePerCycle",
    ),
    row(
        "exclude_untracked_image",
        "ECS_EXCLUDE_UNTRACKED_IMAGE",
        kinds.texts("images"),
        "Images that are never cleaned up, whoever pulled them.",
        json="ImageCleanupExclusionList",
    ),
    row(
        "enable_untracked_image_cleanup",
        "ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP",
        kinds.flag(),
        "Clean up ended containers and unused images also where no task has had them.",
        json="DeleteNonECSImagesEnabled",
    ),
    row(
        "non_ecs_image_minimum_cleanup_age",
        "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE",
        ANY_TIME,
        "How old such an image is, at least, when it goes.",
        json="NonECSMinimumImageDeletionAge",
    ),
    row(
        "nonecs_num_containers_delete_per_cycle",
        "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE",
        kinds.whole_number(1, 10**6),
        "How many such containers go at a time, at most.",
        json="NumNonECSContainersToDeletePerCycle",
    ),
    # a disk that fills
    row(
        "disk_low_watermark",
        "DOCKWORKER_DISK_LOW_WATERMARK",
        PER_CENT,
        "Room is made until a disk is no fuller than this, in per cent of its bytes and of its inodes.",
    ),
    row(
        "disk_high_watermark",
        "DOCKWORKER_DISK_HIGH_WATERMARK",
        PER_CENT,
        "How full Docker's disk is when stopped containers and unused images go at once, least recently used first.",
    ),
    row(
        "disk_critical_watermark",
        "DOCKWORKER_DISK_CRITICAL_WATERMARK",
        PER_CENT,
        "How full one of them is when new tasks are refused.",
    ),
    # whether we are well
    row(
        "health_address",
        "DOCKWORKER_HEALTH_ADDRESS",
        kinds.address(),
        "Where health, introspection and metrics are answered, as host:port; off is on the operator's socket alone.",
    ),
    row(
        "offhost_introspection",
        "ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS",
        kinds.flag(),
        "Answer there at every address of the host, for containers and other machines too.",
    ),
    row(
        "offhost_introspection_interface",
        "ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME",
        kinds.text(),
        "Of these, only at the addresses of this interface.",
    ),
    # what we say
    row(
        "log_level",
        "ECS_LOGLEVEL",
        kinds.choice("debug", "info", "warn", "error", "crit", "none", ignore_case=True),
        "The least serious lines to log.",
    ),
    row(
        "log_level_on_instance",
        "ECS_LOGLEVEL_ON_INSTANCE",
        kinds.choice("debug", "info", "warn", "error", "crit", "none", ignore_case=True),
        "The least serious lines for the log file; unset is as for the others.",
    ),
    row(
        "log_driver",
        "ECS_LOG_DRIVER",
        kinds.text(),
        "Set, no lines go to the log file unless ECS_LOGLEVEL_ON_INSTANCE wants some; there is no container whose"
        " driver it could be.",
    ),
    row(
        "log_format",
        "DOCKWORKER_LOG_FORMAT ECS_LOG_OUTPUT_FORMAT",
        kinds.choice("console", "json", "logfmt"),
        "console, json or logfmt; unset is console on a terminal and json elsewhere.",
    ),
    row("log_file", "ECS_LOGFILE", kinds.path(), "A file for the lines too; unset writes to standard error alone."),
    row(
        "log_max_file_size_mb",
        "ECS_LOG_MAX_FILE_SIZE_MB",
        kinds.number(0.1, 10_000),
        "How many million bytes the file may hold; then it is rolled.",
    ),
    row(
        "log_max_roll_count",
        "ECS_LOG_MAX_ROLL_COUNT",
        kinds.whole_number(0, 1000),
        "How many rolled files are kept beside the one that is written.",
    ),
    row(
        "log_rollover_type",
        "ECS_LOG_ROLLOVER_TYPE",
        kinds.choice("size", "hourly", "none"),
        "size rolls a full file; hourly does so with each hour too; none never does, and bounds nothing.",
    ),
)
