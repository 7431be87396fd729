from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.membership.decisions import (
    Draws,
    MembershipSettings,
    Offer,
    Reaction,
    cannot_move,
    check_echo,
    exit_for,
    is_moving,
    reaction,
    recall,
    recovered,
    registered,
    registration,
)
from agent.model.errors import Fatal
from agent.model.identity import Attribute, Identity, Resource, Trace
from agent.model.registration import Registered, RegistrationFailure

DRAWS = Draws("0a" * 16, "token-1")
DEMO = MembershipSettings(cluster="demo", attributes=(Attribute("team", "a"),), identity_path="/data/identity.json")
MEMBER = Identity("0b" * 16, "demo", "arn:old", "", "us-east-1a", "i-1")
CANDIDATE = Identity("0b" * 16, "demo", "", "token-0", "", "")
OFFER = Offer((Resource("CPU", integer=1024),), (Attribute("cap"), Attribute("ecs.os-type", "linux")), "doc", "sig")


def test_a_new_machine_gets_an_identity_and_a_token() -> None:
    assert recall(None, DEMO, "i-1", DRAWS) == Identity("0a" * 16, "demo", "", "token-1", "", "i-1")
    assert recall(None, MembershipSettings(), "", DRAWS).cluster == "default"


def test_a_member_stays_who_it_is() -> None:
    assert recall(MEMBER, DEMO, "i-1", DRAWS) == MEMBER
    assert recall(MEMBER, DEMO, "", DRAWS) == MEMBER


def test_a_token_whose_answer_was_lost_is_used_again() -> None:
    assert recall(CANDIDATE, DEMO, "", DRAWS) == CANDIDATE


def test_a_token_is_never_used_in_another_cluster() -> None:
    elsewhere = recall(CANDIDATE, MembershipSettings(cluster="other"), "", DRAWS)
    assert (elsewhere.cluster, elsewhere.client_token, elsewhere.agent_id) == ("other", "token-1", CANDIDATE.agent_id)


def test_a_candidate_without_a_token_gets_one() -> None:
    assert recall(replace(CANDIDATE, client_token=""), DEMO, "", DRAWS).client_token == "token-1"


def test_a_copied_disk_is_a_new_machine_and_its_cluster_is_not_compared() -> None:
    other = MembershipSettings(cluster="other")
    assert recall(MEMBER, other, "i-2", DRAWS) == Identity("0a" * 16, "other", "", "token-1", "", "i-2")


def test_another_cluster_is_joined_as_the_same_agent_with_a_token_of_its_own() -> None:
    other = MembershipSettings(cluster="other")
    assert is_moving(MEMBER, other, "i-1")
    assert not is_moving(MEMBER, other, "i-2")  # a copied disk: nobody moves
    assert recall(MEMBER, other, "i-1", DRAWS) == Identity(MEMBER.agent_id, "other", "", "token-1", "", "i-1")


def test_a_move_that_tasks_forbid_names_both_clusters_and_the_command_to_leave() -> None:
    fatal = cannot_move(MEMBER, MembershipSettings(cluster="other"), 2)
    assert fatal.exit_code == 5
    for said in ("'other'", "'demo'", "2 of its tasks live", "`dockworker leave --force`"):
        assert said in str(fatal)


INSTANCE = "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/ab"


@pytest.mark.parametrize(
    ("saved", "wanted", "same"),
    [
        ("demo", "demo", True),
        ("demo", "arn:aws:ecs:us-east-1:123456789012:cluster/demo", True),
        ("arn:aws:ecs:us-east-1:123456789012:cluster/demo", "demo", True),
        ("arn:aws:ecs:us-east-1:123456789012:cluster/demo", "arn:aws:ecs:us-east-1:123456789012:cluster/demo", True),
        ("default", "", True),
        ("demo", "demo2", False),
        ("demo", "arn:aws:ecs:us-east-1:123456789012:cluster/other", False),
        ("demo", "arn:aws:ecs:eu-west-1:123456789012:cluster/demo", False),
        ("demo", "arn:aws:ecs:us-east-1:999999999999:cluster/demo", False),
    ],
)
def test_a_cluster_is_the_same_by_name_or_by_arn(saved: str, wanted: str, same: bool) -> None:  # noqa: FBT001
    member = Identity("0b" * 16, saved, INSTANCE)
    settings = MembershipSettings(cluster=wanted)
    assert is_moving(member, settings, "") is not same
    if same:
        assert recall(member, settings, "", DRAWS) == replace(member, cluster=wanted or "default")


T0 = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOME = MembershipSettings(cluster="demo", home="/data")


def a_trace(agent: str, minute: int = 0, **other: str) -> Trace:
    said = {"cluster": "demo", "instance_arn": f"{INSTANCE}-{agent}", "home": "/data"} | other
    return Trace(agent, said["cluster"], said["instance_arn"], said["home"], "t", T0 + timedelta(minutes=minute))


def test_who_has_lost_everything_is_who_made_the_newest_container_of_its_data_directory_and_cluster() -> None:
    traces = [
        a_trace("old"),
        a_trace("me", 1),
        a_trace("alive", 2),
        a_trace("elsewhere", 3, home="/other"),
        a_trace("from-before-labels", 4, home=""),
        a_trace("another-cluster", 5, cluster="prod"),
        a_trace("unregistered", 6, instance_arn=""),
    ]
    assert recovered(traces, HOME, lambda agent: agent == "alive") == Identity("me", "demo", f"{INSTANCE}-me")
    assert recovered(traces, replace(HOME, home=""), lambda _: False) is None
    assert recovered([], HOME, lambda _: False) is None


def test_no_cluster_and_the_default_cluster_are_the_same() -> None:
    member = replace(MEMBER, cluster="default")
    assert recall(member, MembershipSettings(), "i-1", DRAWS) == member


def test_the_operators_attributes_travel_first_and_only_the_first_time() -> None:
    first = registration(CANDIDATE, DEMO, OFFER, "token-2")
    again = registration(MEMBER, DEMO, OFFER, "token-2")

    assert first.attributes == (Attribute("team", "a"), *OFFER.attributes)
    assert (first.client_token, first.instance_arn) == ("token-0", "")
    assert again.attributes == OFFER.attributes
    assert (again.client_token, again.instance_arn) == ("token-2", "arn:old")
    assert (first.identity_document, first.identity_signature) == ("doc", "sig")


@pytest.mark.parametrize(
    ("code", "message", "settings", "expected"),
    [
        ("ThrottlingException", "", DEMO, Reaction.WAIT),
        ("ServerException", "", DEMO, Reaction.WAIT),
        ("LimitExceededException", "", DEMO, Reaction.WAIT),
        ("ClusterNotFoundException", "", MembershipSettings(), Reaction.CREATE_CLUSTER),
        ("ClientException", "Cluster not found.", MembershipSettings(), Reaction.CREATE_CLUSTER),
        ("ClientException", "Cluster not found.", DEMO, Reaction.EXIT),
        ("ClusterNotFoundException", "", DEMO, Reaction.EXIT),
        ("ClientException", "", MembershipSettings(), Reaction.EXIT),
        ("InvalidParameterException", "", DEMO, Reaction.EXIT),
        ("AccessDeniedException", "", DEMO, Reaction.EXIT),
        ("", "cannot reach ECS", DEMO, Reaction.EXIT),
    ],
)
def test_each_failure_has_its_reaction(
    code: str, message: str, settings: MembershipSettings, expected: Reaction
) -> None:
    assert reaction(RegistrationFailure(code, message), settings, may_create=True) is expected


def test_a_cluster_is_made_once() -> None:
    failure = RegistrationFailure("ClusterNotFoundException", "")
    assert reaction(failure, MembershipSettings(), may_create=False) is Reaction.EXIT


@pytest.mark.parametrize(
    ("code", "message", "identity", "exit_code"),
    [
        ("InvalidParameterException", "", CANDIDATE, 5),
        ("ClientException", "", CANDIDATE, 5),
        ("ClientException", "", MEMBER, 5),
        ("ServerException", "Container instance type changes are not supported.", MEMBER, 5),
        ("ServerException", "Container instance type changes are not supported.", CANDIDATE, 1),
        ("ServerException", "", MEMBER, 1),
        ("AccessDeniedException", "", CANDIDATE, 1),
        ("ClusterNotFoundException", "", CANDIDATE, 1),
        ("", "network", CANDIDATE, 1),
    ],
)
def test_only_what_a_restart_cannot_help_ends_for_good(
    code: str, message: str, identity: Identity, exit_code: int
) -> None:
    assert exit_for(RegistrationFailure(code, message), identity, DEMO).exit_code == exit_code


def test_a_member_that_ecs_refuses_is_told_what_it_can_do() -> None:
    text = str(exit_for(RegistrationFailure("ClientException", "no such instance"), MEMBER, DEMO))
    assert "no such instance" in text
    assert "arn:old" in text
    assert "/data/identity.json" in text


def echo(*attributes: Attribute) -> None:
    check_echo(registration(CANDIDATE, DEMO, OFFER, ""), Registered("arn", attributes), DEMO)


def test_an_answer_may_leave_out_bare_names_and_add_its_own() -> None:
    echo(Attribute("ecs.os-type", "linux"), Attribute("team", "a"), Attribute("ecs.availability-zone", "z"))


@pytest.mark.parametrize("answered", [(), (Attribute("ecs.os-type", "windows"), Attribute("team", "a"))])
def test_a_value_that_does_not_come_back_is_not_worth_a_restart(answered: tuple[Attribute, ...]) -> None:
    with pytest.raises(Fatal, match=r"ecs\.os-type \(sent 'linux'") as caught:
        echo(*answered)
    assert caught.value.exit_code == 5


def test_a_lost_attribute_of_the_operators_is_named_with_its_setting() -> None:
    with pytest.raises(Fatal, match=r"team .*ECS_INSTANCE_ATTRIBUTES"):
        echo(Attribute("ecs.os-type", "linux"))


def test_an_answer_makes_a_candidate_a_member() -> None:
    answer = Registered("arn:new", (Attribute("ecs.availability-zone", "us-west-2a"),))
    assert registered(CANDIDATE, answer) == Identity("0b" * 16, "demo", "arn:new", "", "us-west-2a", "")


def test_a_member_keeps_its_arn_and_its_zone() -> None:
    assert registered(MEMBER, Registered("arn:other")) == MEMBER


def test_an_answer_without_an_arn_is_worth_a_restart() -> None:
    with pytest.raises(Fatal, match="no containerInstanceArn") as caught:
        registered(CANDIDATE, Registered(""))
    assert caught.value.exit_code == 1
