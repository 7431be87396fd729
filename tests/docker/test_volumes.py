import pytest

from agent.docker import volumes
from agent.docker.surroundings import Surroundings
from agent.model.acts import CreateVolume
from agent.model.errors import GiveUp
from agent.model.names import TaskArn
from agent.model.parts import Efs, Scope, Volume, VolumeKind
from agent.model.status import ResourceKind

HERE = Surroundings(region="eu-west-1")
WITH_PLUGIN = Surroundings(region="eu-west-1", efs_plugin=True)
NFS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"


def an_act(volume: Volume, role: str = "") -> CreateVolume:
    return CreateVolume(TaskArn("arn"), ResourceKind.VOLUME, volume.name, "ecs-shop-3-v-1", volume, role)


def of_efs(efs: Efs, host: Surroundings, role: str = "") -> tuple[object, object]:
    body = volumes.create_body(an_act(Volume("v", VolumeKind.EFS, efs=efs), role), host)
    return body["Driver"], body["DriverOpts"]


def test_an_anonymous_volume_is_a_plain_local_one() -> None:
    assert volumes.create_body(an_act(Volume("v")), HERE) == {
        "Name": "ecs-shop-3-v-1",
        "Driver": "local",
        "DriverOpts": {},
        "Labels": {},
    }


def test_a_docker_volume_has_driver_options_and_labels_as_asked() -> None:
    volume = Volume("v", VolumeKind.DOCKER, driver="rexray", options={"size": "5"}, labels={"team": "a"})

    assert volumes.create_body(an_act(volume), HERE) == {
        "Name": "ecs-shop-3-v-1",
        "Driver": "rexray",
        "DriverOpts": {"size": "5"},
        "Labels": {"team": "a"},
    }


@pytest.mark.parametrize(
    ("efs", "options"),
    [
        (Efs("fs-1"), {"type": "efs", "device": "fs-1"}),
        (Efs("fs-1", "/home"), {"type": "efs", "device": "fs-1:/home"}),
        (Efs("fs-1", encrypted=True), {"type": "efs", "device": "fs-1", "o": "tls"}),
        (
            Efs("fs-1", "/", encrypted=True, encryption_port=2049, access_point="ap-1", iam=True),
            {
                "type": "efs",
                "device": "fs-1:/",
                "o": "tls,tlsport=2049,iam,awscredsuri=/v2/credentials/c1,accesspoint=ap-1",
            },
        ),
    ],
)
def test_efs_is_mounted_by_the_plugin_where_the_host_has_it(efs: Efs, options: dict[str, str]) -> None:
    assert of_efs(efs, WITH_PLUGIN, "c1") == ("amazon-ecs-volume-plugin", options)


@pytest.mark.parametrize(("root", "device"), [("", ":/"), ("/", ":/"), ("/home", ":/home")])
def test_efs_is_plain_nfs_without_the_plugin(root: str, device: str) -> None:
    options = {"type": "nfs", "device": device, "o": f"addr=fs-1.efs.eu-west-1.amazonaws.com,{NFS}"}

    assert of_efs(Efs("fs-1", root), HERE) == ("local", options)


def test_efs_in_another_partition_has_another_name() -> None:
    china = Surroundings(region="cn-north-1", dns_suffix="amazonaws.com.cn")

    assert f"addr=fs-1.efs.cn-north-1.amazonaws.com.cn,{NFS}" in str(of_efs(Efs("fs-1"), china))


@pytest.mark.parametrize(
    ("efs", "lacking"),
    [
        (Efs("fs-1", encrypted=True), "asks for encryption, which"),
        (Efs("fs-1", iam=True, access_point="ap"), "asks for IAM and an access point, which"),
    ],
)
def test_what_plain_nfs_does_not_know_is_refused(efs: Efs, lacking: str) -> None:
    with pytest.raises(GiveUp, match=lacking) as told:
        of_efs(efs, HERE, "c1")

    assert told.value.name == "CannotCreateVolumeError"


def test_iam_needs_a_role() -> None:
    with pytest.raises(GiveUp, match="has no role"):
        of_efs(Efs("fs-1", iam=True), WITH_PLUGIN)


@pytest.mark.parametrize(
    ("found", "differs"),
    [
        ({"Labels": {"team": "b"}, "Options": {"size": "6"}}, "labels"),
        ({"Labels": None, "Options": {"size": "5"}}, "labels"),
        ({"Labels": {"team": "a"}, "Options": None}, "options"),
    ],
)
def test_a_shared_volume_is_compared_by_labels_and_then_by_options(found: dict[str, object], differs: str) -> None:
    volume = Volume("v", VolumeKind.DOCKER, scope=Scope.SHARED, options={"size": "5"}, labels={"team": "a"})

    volumes.check_match(volume, "v", {"Labels": {"team": "a"}, "Options": {"size": "5"}})
    with pytest.raises(GiveUp, match=differs):
        volumes.check_match(volume, "v", found)


def test_a_missing_shared_volume_is_told_as_ecs_users_know_it() -> None:
    told = volumes.missing("data").reason

    assert "volume detection failed, volume 'data' does not exist and autoprovision is set to false" in told


def test_what_a_driver_is_told_is_private_but_for_where_the_data_is() -> None:
    volume = Volume("v", VolumeKind.DOCKER, options={"type": "cifs", "device": "//nas", "o": "password=x"})

    assert volumes.private_in(volume) == {"password=x"}
    assert volumes.private_in(Volume("v", VolumeKind.EFS, efs=Efs("fs-1"))) == frozenset()
