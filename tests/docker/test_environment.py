from dataclasses import replace

import pytest

from agent.docker import environment, translate
from agent.docker.surroundings import Surroundings
from agent.model.acts import Wiring
from agent.model.credentials import NO_VALUES, ContainerValues
from tests.docker.making import an_act

HERE = Surroundings(region="eu-west-1")
NOWHERE = Surroundings()
WIRED = Wiring(task_credentials_id="c1", metadata_id="m1")
CREDENTIALS = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"


def test_a_role_and_the_metadata_address_are_told_whatever_the_definition_says() -> None:
    act = replace(an_act(environment={CREDENTIALS: "/mine", "ECS_AGENT_URI": "x", "A": "1"}), wiring=WIRED)

    assert environment.whole(act, NO_VALUES, NOWHERE) == {
        "A": "1",
        CREDENTIALS: "/v2/credentials/c1",
        "ECS_CONTAINER_METADATA_URI": "http://169.254.170.2/v3/m1",
        "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/m1",
        "ECS_AGENT_URI": "http://169.254.170.2/api/m1",
    }


def test_without_a_role_and_an_address_nothing_is_told() -> None:
    assert environment.whole(an_act(environment={CREDENTIALS: "/mine"}), NO_VALUES, NOWHERE) == {CREDENTIALS: "/mine"}


def test_secrets_win_and_files_fill_gaps_the_earlier_file_first() -> None:
    act = replace(an_act(environment={"A": "def", "B": "def", CREDENTIALS: "/mine"}), wiring=WIRED)
    values = ContainerValues(
        environment={"B": "secret", CREDENTIALS: "secret"},
        files=({"A": "file1", "B": "file1", "C": "file1"}, {"C": "file2", "D": "file2"}),
    )

    found = environment.whole(act, values, NOWHERE)

    assert {name: found[name] for name in ("A", "B", "C", "D", CREDENTIALS)} == {
        "A": "def",
        "B": "secret",
        "C": "file1",
        "D": "file2",
        CREDENTIALS: "secret",
    }


def test_the_region_is_told_under_both_names() -> None:
    assert environment.whole(an_act(), NO_VALUES, HERE) == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    assert environment.whole(an_act(), NO_VALUES, NOWHERE) == {}


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_one_of_the_names_anywhere_keeps_the_region_out(name: str) -> None:
    by_definition = an_act(environment={name: "x"})
    by_file = ContainerValues(files=({}, {name: "x"}))

    assert environment.whole(by_definition, NO_VALUES, HERE) == {name: "x"}
    assert environment.whole(an_act(), by_file, HERE) == {name: "x"}
    assert environment.whole(an_act(), NO_VALUES, HERE, [f"{name}=x", "PATH=/bin"]) == {}
    assert environment.whole(an_act(), NO_VALUES, HERE, [f"{name}_2=x"]) != {}


def test_the_image_is_asked_only_where_it_decides() -> None:
    assert environment.asks_image(an_act(), NO_VALUES, HERE)
    assert not environment.asks_image(an_act(), NO_VALUES, NOWHERE)
    assert not environment.asks_image(an_act(environment={"AWS_REGION": "x"}), NO_VALUES, HERE)
    assert not environment.asks_image(an_act(), ContainerValues(files=({"AWS_REGION": "x"},)), HERE)
    assert not environment.asks_image(an_act(), ContainerValues({"AWS_DEFAULT_REGION": "x"}), HERE)


def test_gpus_are_told_inside_aws_alone() -> None:
    act = an_act(environment={"NVIDIA_VISIBLE_DEVICES": "all"}, gpus=("GPU-1", "GPU-2"))

    assert environment.whole(act, NO_VALUES, NOWHERE) == {"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}
    assert environment.whole(act, NO_VALUES, Surroundings(external=True)) == {"NVIDIA_VISIBLE_DEVICES": "all"}


def test_a_list_in_ecs_text_erases_all_of_it() -> None:
    act = replace(an_act(docker_config='{"env": ["ONLY=this"]}'), wiring=WIRED)

    assert translate.create_body(act, ContainerValues({"B": "secret"}), HERE)["Env"] == ["ONLY=this"]
