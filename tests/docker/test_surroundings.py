from agent.config.settings import Settings
from agent.docker.surroundings import Surroundings
from agent.model.seen import EngineFacts

OLD = EngineFacts("20.10.24", "1.41", "1.12")
NEW = EngineFacts("29.0.0", "1.52", "1.44")


def test_settings_and_facts_make_up_what_a_host_is() -> None:
    settings = Settings(
        oci_runtime="runsc",
        external=True,
        nvidia_runtime="nvidia-2",
        enable_inf_support=True,
        volume_plugin_capabilities=("efsAuth",),
        shared_volume_match_full_config=True,
    )

    assert Surroundings.of(settings, OLD, "cn-north-1", "amazonaws.com.cn") == Surroundings(
        region="cn-north-1",
        home="/var/lib/dockworker",
        dns_suffix="amazonaws.com.cn",
        runtime="runsc",
        external=True,
        nvidia_runtime="nvidia-2",
        inferentia=True,
        ipc_mode="shareable",
        efs_plugin=True,
        matches_shared_volumes=True,
    )


def test_without_settings_a_new_engine_decides_for_itself() -> None:
    assert Surroundings.of(Settings(), NEW, "eu-west-1", "amazonaws.com") == Surroundings(
        region="eu-west-1", home="/var/lib/dockworker"
    )
