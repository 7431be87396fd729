import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.engine import naming
from agent.engine.naming import container_name
from agent.model.names import TaskArn
from agent.model.parts import Scope, Volume, VolumeKind
from tests.engine.rows import OTHER, spec


def test_a_name_is_the_references_with_digits_that_derive_from_task_and_container() -> None:
    assert container_name(spec(), "app") == container_name(spec(), "app")
    assert container_name(spec(), "app") != container_name(spec(OTHER), "app")


def test_what_docker_does_not_allow_is_left_out_and_still_told_apart() -> None:
    names = {container_name(spec(), name) for name in ("a_b", "a.b", "ab", "a-b")}
    assert len(names) == 4
    assert sum(name.startswith("ecs-web-1-ab-") for name in names) == 3


def test_parts_that_are_empty_leave_no_double_dash() -> None:
    assert container_name(replace(spec(), family="", version=""), "...").startswith("ecs-")
    assert "--" not in container_name(replace(spec(), family="", version=""), "...")


@given(st.text(), st.text(), st.text(min_size=1))
def test_every_name_is_one_that_docker_takes(family: str, version: str, name: str) -> None:
    made = container_name(replace(spec(TaskArn("arn")), family=family, version=version), name)
    assert all(c.isascii() and (c.isalnum() or c == "-") for c in made)
    assert made[0].isalnum()


def test_a_volume_of_a_task_has_a_name_of_its_own_and_a_shared_one_keeps_its_name() -> None:
    shared = Volume("pool", kind=VolumeKind.DOCKER, scope=Scope.SHARED)
    assert naming.volume_name(spec(), shared) == "pool"
    name = naming.volume_name(spec(), Volume("da_ta"))
    assert re.fullmatch(r"ecs-web-1-data-[0-9a-f]{20}", name)
    assert name != naming.container_name(spec(), "da_ta")
    assert name != naming.volume_name(spec(OTHER), Volume("da_ta"))
