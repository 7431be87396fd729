from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.docker import labels
from agent.model.identity import Identity
from agent.model.names import TaskArn
from agent.model.parts import Condition, Dependency, Link, RestartPolicy, VolumesFrom
from agent.model.seen import Labels
from agent.model.task import PortMapping, Transport
from tests.docker.making import an_act

words = st.text(min_size=1, max_size=30)
ports = st.builds(
    PortMapping, st.integers(1, 65535), st.integers(0, 65535), st.sampled_from(Transport), st.integers(1, 100)
)
needs = st.builds(Dependency, words, st.sampled_from(Condition))
policies = st.builds(RestartPolicy, st.lists(st.integers(0, 255)).map(tuple), st.floats(60, 1800))
any_labels = st.builds(
    Labels,
    agent=words,
    instance=st.text(),
    task=words.map(TaskArn),
    container=words,
    family=st.text(),
    version=st.text(),
    essential=st.booleans(),
    stop_timeout=st.none() | st.floats(0, 1e6),
    ports=st.lists(ports, max_size=4).map(tuple),
    order=st.integers(0, 100),
    count=st.integers(1, 100),
    run=st.integers(1, 1000),
    image=st.text(),
    depends_on=st.lists(needs, max_size=4).map(tuple),
    restart=st.none() | policies,
    volumes=st.lists(words, max_size=3).map(tuple),
    cgroup=st.booleans(),
    digest=st.text(),
)

OURS = Identity(agent_id="a1", cluster="tests", instance_arn="arn:instance/1")
A_LABEL = labels.of_act(an_act(), OURS, "d1")


@given(any_labels)
def test_labels_that_were_written_are_read_again(given_labels: Labels) -> None:
    assert labels.read(labels.write(given_labels, "tests")) == given_labels


def test_the_names_that_other_tools_know_are_used() -> None:
    written = labels.write(A_LABEL, "tests")

    assert written["com.amazonaws.ecs.task-arn"] == A_LABEL.task
    assert written["com.amazonaws.ecs.container-name"] == "web"
    assert written["com.amazonaws.ecs.task-definition-family"] == "shop"
    assert written["com.amazonaws.ecs.task-definition-version"] == "3"
    assert written["com.amazonaws.ecs.cluster"] == "tests"


def test_labels_of_an_act_hold_no_environment() -> None:
    act = an_act(environment={"TOKEN": "hunter2-hunter2"}, docker_config='{"Env":["X=hunter2-hunter2"]}')

    assert "hunter2" not in str(labels.write(labels.of_act(act, OURS, "d"), "tests"))


def test_links_and_volumes_of_others_are_written_as_what_the_container_waits_for() -> None:
    act = an_act(
        depends_on=(Dependency("migrate", Condition.SUCCESS), Dependency("db", Condition.START)),
        links=(Link("db", "database"),),
        volumes_from=(VolumesFrom("files"),),
        restart=RestartPolicy((0,), 60.0),
    )

    found = labels.read(labels.write(labels.of_act(act, OURS, "d"), "tests"))

    assert found is not None
    assert found.depends_on == (
        Dependency("migrate", Condition.SUCCESS),
        Dependency("db", Condition.START),
        Dependency("files", Condition.CREATE),
    )
    assert found.restart == RestartPolicy((0,), 60.0)


def test_a_container_without_our_label_has_none_of_our_labels() -> None:
    written = labels.write(A_LABEL, "tests")

    for missing in (labels.AGENT, labels.TASK, labels.CONTAINER):
        assert labels.read({k: v for k, v in written.items() if k != missing}) is None


def test_a_damaged_spec_leaves_its_defaults() -> None:
    written = labels.write(replace(A_LABEL, essential=True, stop_timeout=3.0), "tests")

    deep = '{"x":' + "[" * 100_000
    for damage in ("{", '{"order": "first"}', "[]", deep, '{"image":"\ud800"}'):
        found = labels.read(written | {labels.SPEC: damage})
        assert found is not None
        assert (found.task, found.stop_timeout, found.order) == (A_LABEL.task, None, 0)


def test_members_of_a_newer_agent_are_ignored() -> None:
    written = labels.write(A_LABEL, "tests")

    found = labels.read(written | {labels.SPEC: '{"from_the_future": [1], "order": 4}'})

    assert found is not None
    assert found.order == 4


def test_ours_is_what_carries_our_agent_id_or_our_instance() -> None:
    assert labels.are_ours(replace(A_LABEL, instance="arn:other"), OURS)
    assert labels.are_ours(replace(A_LABEL, agent="lost"), OURS)
    assert not labels.are_ours(replace(A_LABEL, agent="other", instance="arn:other"), OURS)


def test_two_installations_that_are_not_registered_yet_are_not_the_same() -> None:
    unregistered = Identity(agent_id="a2", cluster="tests")

    assert not labels.are_ours(replace(A_LABEL, agent="other", instance=""), unregistered)


def test_only_task_container_and_digest_make_a_container_the_one_asked_for() -> None:
    act = an_act()
    found = labels.of_act(act, OURS, "d1")

    assert labels.are_of(found, act, "d1")
    assert not labels.are_of(found, act, "d2")
    assert not labels.are_of(replace(found, container="db"), act, "d1")
    assert not labels.are_of(found, an_act(), "d1")


def test_the_data_directory_is_told_for_who_has_lost_everything_else() -> None:
    assert labels.write(A_LABEL, "tests", "/var/lib/dockworker")["dockworker.home"] == "/var/lib/dockworker"


def test_labels_tell_of_the_volumes_and_the_cgroup_that_end_with_the_task() -> None:
    act = an_act()
    act = replace(act, wiring=replace(act.wiring, task_volumes=("data",), cgroup_parent="/ecs/ab"))
    told = labels.of_act(act, OURS, "d1")
    assert (told.volumes, told.cgroup) == (("data",), True)
    assert (A_LABEL.volumes, A_LABEL.cgroup) == ((), False)
