import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.membership.backoff import Backoff
from agent.membership.decisions import Draws, MembershipSettings
from agent.membership.loop import Edge, Membership, draw_identity
from agent.model.devices import NO_GPUS, Gpus
from agent.model.errors import Fatal, TryAgain
from agent.model.identity import Attribute, Identity, Resource, Trace
from agent.model.registration import Registered, Registration, RegistrationFailure
from agent.store.identity_driver import IdentityFile

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
ARN = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/ab"
OS = Attribute("ecs.os-type", "linux")
ZONE = Attribute("ecs.availability-zone", "us-west-2a")
ANSWER = Registered(ARN, (OS, ZONE))
BUSY = RegistrationFailure("ThrottlingException", "slow down")
LOST = RegistrationFailure("", "connection reset")
NO_CLUSTER = RegistrationFailure("ClusterNotFoundException", "Cluster not found.")


@dataclass
class House:
    """A machine, its disk, and an ECS that answers what it was told to; the last answer serves all further calls."""

    path: Path
    answers: deque[Registered | RegistrationFailure] = field(default_factory=lambda: deque([ANSWER]))
    settings: MembershipSettings = field(default_factory=lambda: MembershipSettings(cluster="demo"))
    asked: list[Registration] = field(default_factory=list)
    on_disk: list[Identity | None] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    cluster_failure: RegistrationFailure | None = None
    engine_failure: TryAgain | None = None
    tags_failure: TryAgain | None = None
    ec2: str = ""
    host_gpus: Gpus = NO_GPUS
    waits: list[float] = field(default_factory=list)
    now: float = 0.0
    drawn: int = 0
    disk_full: bool = False
    told: list[Trace] = field(default_factory=list)
    living: set[str] = field(default_factory=set)
    docker_away: int = 0
    sleeps_for_ever: bool = False
    claimed: list[str] = field(default_factory=list)
    asked_once: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None
    """What an answer waits for, if anything."""

    async def register(self, registration: Registration) -> Registered:
        self.asked.append(registration)
        self.on_disk.append(await IdentityFile(self.path).read())
        if self.gate is not None:
            self.asked_once.set()
            await self.gate.wait()
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, RegistrationFailure):
            raise answer
        return answer

    async def create_cluster(self, name: str) -> str:
        self.clusters.append(name)
        if self.cluster_failure:
            raise self.cluster_failure
        return name

    async def resources(self) -> list[Resource]:
        return [Resource("CPU", integer=1024 * (len(self.asked) + 1))]

    async def attributes(self) -> list[Attribute]:
        if self.engine_failure:
            raise self.engine_failure
        return [OS]

    async def gpus(self) -> Gpus:
        return self.host_gpus

    async def identity_document(self) -> tuple[str, str]:
        return ("doc", "sig") if self.ec2 else ("", "")

    async def instance_id(self) -> str:
        return self.ec2

    async def tags(self) -> list[tuple[str, str]]:
        if self.tags_failure:
            raise self.tags_failure
        return [("Name", "box"), ("team", "of the machine")]

    async def read(self) -> Identity | None:
        return await IdentityFile(self.path).read()

    async def write(self, identity: Identity) -> None:
        if self.disk_full:
            raise OSError(28, "No space left on device")
        await IdentityFile(self.path).write(identity)

    async def is_there(self) -> bool:
        return self.path.exists()

    async def set_aside(self) -> None:
        await IdentityFile(self.path).set_aside()

    async def traces(self) -> list[Trace]:
        if self.docker_away:
            self.docker_away -= 1
            raise TryAgain("Docker does not answer")
        return self.told

    def claim(self, agent_id: str) -> None:
        if agent_id in self.living:
            raise Fatal(f"another agent is running as {agent_id}", 5)
        self.claimed.append(agent_id)

    def is_alive(self, agent_id: str) -> bool:
        return agent_id in self.living

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.sleeps_for_ever:
            await asyncio.Event().wait()
        self.now += seconds

    def draw(self) -> Draws:
        self.drawn += 1
        return Draws(f"agent-{self.drawn}", f"token-{self.drawn}")

    def membership(self) -> Membership:
        edge = Edge(self.sleep, lambda: self.now, lambda: 0.5, self.draw)
        return Membership(
            self.settings, registry=self, file=self, host=self, metadata=self, traces=self, names=self, edge=edge
        )

    def join(self) -> Identity:
        async def bounded() -> Identity:
            async with asyncio.timeout(10):
                return await self.membership().join()

        return asyncio.run(bounded())

    def saved(self) -> Identity | None:
        return asyncio.run(self.read())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "identity.json")


def test_a_new_machine_registers_and_remembers(house: House) -> None:
    identity = house.join()

    assert identity == Identity("agent-1", "demo", ARN, "", "us-west-2a")
    assert house.saved() == identity
    assert house.asked[0].instance_arn == ""


def test_the_token_is_on_the_disk_before_the_call_leaves(house: House) -> None:
    house.join()

    (before,) = house.on_disk
    assert before is not None
    assert before.client_token == house.asked[0].client_token == "token-1"


def test_twenty_lost_answers_are_one_call(house: House) -> None:
    house.answers = deque([LOST] * 20 + [ANSWER])
    for _ in range(20):
        with pytest.raises(Fatal) as caught:
            house.join()
        assert caught.value.exit_code == 1
    identity = house.join()

    assert {call.client_token for call in house.asked} == {"token-1"}
    assert identity.agent_id == "agent-1"
    assert house.waits == []


def test_a_restart_registers_the_same_instance_again_with_what_the_machine_has_now(house: House) -> None:
    house.join()
    again = house.join()

    assert again.instance_arn == ARN
    assert house.asked[1].instance_arn == ARN
    assert house.asked[1].client_token not in ("", "token-1")
    assert [call.resources[0].integer for call in house.asked] == [1024, 2048]


def test_a_busy_ecs_is_asked_again_ever_more_slowly_with_the_same_token(house: House) -> None:
    house.answers = deque([BUSY] * 8 + [ANSWER])
    house.join()

    assert house.waits == pytest.approx([3.3, 6.6, 13.2, 26.4, 52.8, 105.6, 211.2, 211.2])
    assert {call.client_token for call in house.asked} == {"token-1"}
    assert len({call.resources for call in house.asked}) == 9


def test_after_an_hour_the_supervisor_takes_over(house: House) -> None:
    house.answers = deque([BUSY])
    with pytest.raises(Fatal, match="slow down") as caught:
        house.join()

    assert caught.value.exit_code == 1
    assert 3600 <= house.now < 3600 + 192 * 1.2


def test_a_refusal_ends_for_good_and_its_token_is_not_used_again(house: House) -> None:
    house.answers = deque([RegistrationFailure("InvalidParameterException", "bad tag"), ANSWER])
    with pytest.raises(Fatal, match="bad tag") as caught:
        house.join()
    assert caught.value.exit_code == 5
    house.join()

    assert house.asked[0].client_token != house.asked[1].client_token
    assert house.saved() == Identity("agent-1", "demo", ARN, "", "us-west-2a")


def test_a_value_that_does_not_come_back_ends_for_good(house: House) -> None:
    house.answers = deque([Registered(ARN, (ZONE,))])
    with pytest.raises(Fatal, match=r"ecs\.os-type") as caught:
        house.join()

    assert caught.value.exit_code == 5
    assert house.saved() == Identity("agent-1", "demo")


def test_where_no_cluster_is_named_the_default_one_is_made(house: House) -> None:
    house.settings = MembershipSettings()
    house.answers = deque([NO_CLUSTER, ANSWER])

    assert house.join().cluster == "default"
    assert house.clusters == ["default"]
    assert [call.cluster for call in house.asked] == ["default", "default"]


def test_a_cluster_that_cannot_be_made_is_tried_once_more_and_no_longer(house: House) -> None:
    house.settings = MembershipSettings()
    house.answers = deque([NO_CLUSTER])
    house.cluster_failure = RegistrationFailure("AccessDeniedException", "no")
    with pytest.raises(Fatal) as caught:
        house.join()

    assert caught.value.exit_code == 1
    assert (len(house.asked), len(house.clusters)) == (2, 1)


def test_a_cluster_that_is_named_is_never_made(house: House) -> None:
    house.answers = deque([NO_CLUSTER])
    with pytest.raises(Fatal) as caught:
        house.join()
    assert caught.value.exit_code == 1
    assert house.clusters == []


def test_a_copied_disk_becomes_a_new_instance(house: House) -> None:
    house.ec2 = "i-1"
    house.join()
    house.ec2 = "i-2"
    copy = house.join()

    assert house.asked[1].instance_arn == ""
    assert copy.agent_id != "agent-1"
    assert (house.asked[0].identity_document, house.asked[0].identity_signature) == ("doc", "sig")


def test_the_identity_is_known_before_anything_is_registered(house: House) -> None:
    async def story() -> None:
        membership = house.membership()
        recalled = await membership.recall()
        assert house.asked == []
        assert await house.read() == recalled
        joined = await membership.join(recalled)
        assert joined == replace(recalled, instance_arn=ARN, client_token="", availability_zone="us-west-2a")

    asyncio.run(story())


def test_without_a_disk_for_the_token_no_first_registration_leaves(house: House) -> None:
    house.disk_full = True
    with pytest.raises(Fatal, match="No space left") as caught:
        house.join()
    assert caught.value.exit_code == 1
    assert house.asked == []


def test_a_member_with_a_full_disk_still_joins(house: House) -> None:
    house.answers = deque([ANSWER, Registered(ARN, (OS, replace(ZONE, value="us-west-2b")))])
    house.join()
    house.disk_full = True
    assert house.join().availability_zone == "us-west-2b"


def test_an_engine_that_does_not_answer_is_worth_a_restart(house: House) -> None:
    house.engine_failure = TryAgain("Docker does not answer")
    with pytest.raises(Fatal, match="Docker does not answer") as caught:
        house.join()
    assert caught.value.exit_code == 1


def test_the_operators_tags_come_over_those_of_the_machine_at_each_registration(house: House) -> None:
    house.settings = MembershipSettings(cluster="demo", tags=(("team", "of the operator"), ("stage", "prod")))
    again(house, house.join())

    assert [dict(call.tags) for call in house.asked] == [
        {"Name": "box", "team": "of the operator", "stage": "prod"},
    ] * 2


def test_tags_that_cannot_be_had_are_worth_a_restart_and_no_end_of_a_member(house: House) -> None:
    house.tags_failure = TryAgain("UnauthorizedOperation")
    with pytest.raises(Fatal, match="UnauthorizedOperation") as caught:
        house.join()
    assert caught.value.exit_code == 1
    assert house.asked == []

    house.tags_failure = None
    member = house.join()
    house.tags_failure = TryAgain("UnauthorizedOperation")

    async def story() -> None:
        async def mended(seconds: float) -> None:
            house.waits.append(seconds)
            house.tags_failure = None

        house.sleep = mended  # type: ignore[method-assign]
        async with asyncio.timeout(10):
            assert await house.membership().rejoin(member) == member

    asyncio.run(story())
    assert len(house.waits) == 1


def test_two_installations_never_draw_the_same() -> None:
    one, other = draw_identity(), draw_identity()
    assert len(one.agent_id) == 32
    assert len({one.agent_id, other.agent_id, one.client_token, other.client_token}) == 4


def test_a_wait_is_lengthened_by_at_most_a_fifth() -> None:
    assert Backoff().wait(0.0) == 3.0
    assert Backoff().wait(0.999) < 3.6


def traced(house: House, agent: str, **other: str) -> Trace:
    said = {"cluster": "demo", "home": "/data"} | other
    return Trace(agent, said["cluster"], ARN, said["home"], "task", NOON, is_alive=True)


def recalled(house: House) -> Identity:
    return asyncio.run(house.membership().recall())


def test_a_machine_that_has_lost_its_files_is_who_its_containers_say(house: House) -> None:
    house.settings = replace(house.settings, home="/data")
    house.told = [traced(house, "me"), traced(house, "other", home="/elsewhere")]
    assert recalled(house) == Identity("me", "demo", ARN)
    assert house.saved() == Identity("me", "demo", ARN)
    assert house.claimed == ["me"]


def test_a_disk_that_takes_no_change_keeps_nobody_from_being_who_containers_say(house: House) -> None:
    house.settings = replace(house.settings, home="/data")
    house.told = [traced(house, "me")]
    house.disk_full = True
    assert recalled(house).instance_arn == ARN


def test_docker_is_asked_until_it_answers_before_a_machine_is_called_new(house: House) -> None:
    house.docker_away = 3
    assert recalled(house).agent_id == "agent-1"
    assert house.waits == [0.5] * 3


def test_a_copy_of_a_living_agents_directory_is_left_as_it_is(house: House) -> None:
    house.join()
    before = house.path.read_bytes(), house.path.stat().st_mtime_ns
    house.settings = MembershipSettings(cluster="another")
    house.living = {"agent-1"}
    with pytest.raises(Fatal, match="another agent is running as agent-1"):
        recalled(house)
    assert (house.path.read_bytes(), house.path.stat().st_mtime_ns) == before


def test_a_machine_on_which_tasks_live_does_not_move_and_one_without_moves_as_the_same_agent(house: House) -> None:
    house.join()
    house.settings = MembershipSettings(cluster="another")
    house.told = [traced(house, "agent-1")]
    with pytest.raises(Fatal, match="1 of its tasks lives here"):
        recalled(house)
    assert house.path.exists()

    house.told = [replace(house.told[0], is_alive=False)]
    moved = recalled(house)
    assert (moved.agent_id, moved.cluster, moved.instance_arn) == ("agent-1", "another", "")
    (aside,) = house.path.parent.glob("identity.json.aside-*")
    assert ARN in aside.read_text()


def again(house: House, identity: Identity) -> Identity:
    async def bounded() -> Identity:
        async with asyncio.timeout(10):
            return await house.membership().rejoin(identity)

    return asyncio.run(bounded())


def test_a_member_waits_for_ecs_as_long_as_it_takes(house: House) -> None:
    member = house.join()
    house.answers = deque([LOST] * 200 + [BUSY, ANSWER])
    assert again(house, member) == member
    assert len(house.waits) == 201
    assert max(house.waits) <= 192 * 1.2
    assert {call.instance_arn for call in house.asked[1:]} == {ARN}


@pytest.mark.parametrize("code", ["ClientException", "InvalidParameterException"])
def test_a_member_that_ecs_refuses_goes_on_as_it_was(house: House, code: str) -> None:
    member = house.join()
    house.answers = deque([RegistrationFailure(code, "no")])
    assert again(house, member) == member
    assert house.waits == []
    assert house.saved() == member


def test_a_member_whose_attribute_is_not_taken_goes_on(house: House) -> None:
    member = house.join()
    house.answers = deque([Registered(ARN, (ZONE,))])
    assert again(house, member) == member


def test_whoever_waits_for_ecs_is_poked_when_it_answers_something_else(house: House) -> None:
    member = house.join()
    house.answers = deque([LOST, ANSWER])

    house.sleeps_for_ever = True

    async def story() -> None:
        membership = house.membership()
        membership.poke()
        async with asyncio.timeout(10):
            assert await membership.rejoin(member) == member

    asyncio.run(story())


def test_an_instance_that_ecs_has_let_go_of_is_registered_anew_as_the_same_agent_under_one_token(house: House) -> None:
    member = house.join()
    house.answers = deque([LOST, BUSY, Registered("arn:new", (OS, ZONE))])
    new = asyncio.run(house.membership().renew(member))
    assert new == replace(member, instance_arn="arn:new")
    assert house.saved() == new
    calls = house.asked[1:]
    assert {call.instance_arn for call in calls} == {""}
    assert len({call.client_token for call in calls}) == 1
    assert calls[0].client_token not in ("", house.asked[0].client_token)
    before = house.on_disk[1]
    assert before is not None
    assert (before.client_token, before.instance_arn) == (calls[0].client_token, ARN)


def test_a_renewal_that_was_cut_off_is_the_same_call_when_it_is_made_again(house: House) -> None:
    member = house.join()
    cut = replace(member, client_token="token-before")
    house.answers = deque([Registered("arn:new", (OS, ZONE))])
    assert asyncio.run(house.membership().renew(cut)).instance_arn == "arn:new"
    assert house.asked[-1].client_token == "token-before"


def test_a_renewal_that_ecs_refuses_is_another_call_the_next_time(house: House) -> None:
    member = house.join()
    house.answers = deque([RegistrationFailure("ClientException", "no"), Registered("arn:new", (OS, ZONE))])
    asyncio.run(house.membership().renew(member))
    assert len({call.client_token for call in house.asked[1:]}) == 2


def test_gpus_are_told_at_each_registration_as_they_are_then(house: House) -> None:
    async def join_and_join_again() -> None:
        membership = house.membership()
        house.host_gpus = Gpus(("GPU-1",), "550")
        identity = await membership.join()
        house.host_gpus = Gpus(("GPU-1", "GPU-2"), "550")
        await membership.rejoin(identity)

    asyncio.run(join_and_join_again())

    assert [asked.gpus.ids for asked in house.asked] == [("GPU-1",), ("GPU-1", "GPU-2")]


def test_an_instance_that_was_registered_anew_can_be_registered_again(house: House) -> None:
    async def renew_and_rejoin() -> Identity:
        membership = house.membership()
        identity = await membership.renew(await membership.join())
        return await membership.rejoin(identity)

    assert asyncio.run(renew_and_rejoin()).instance_arn == ARN
    assert [asked.instance_arn for asked in house.asked] == ["", "", ARN]


def test_a_drain_in_the_middle_of_a_renewal_costs_neither_the_token_nor_the_mark(house: House) -> None:
    member = house.join()
    house.answers = deque([Registered("arn:new", (OS, ZONE))])
    membership = house.membership()

    async def story() -> Identity:
        house.gate = asyncio.Event()
        async with asyncio.timeout(10):
            renewing = asyncio.ensure_future(membership.renew(member))
            await house.asked_once.wait()
            await membership.mark(member, drained=True)
            both = await house.read()
            assert both is not None
            assert (both.client_token, both.drained) == (house.asked[-1].client_token, True)
            house.gate.set()
            return await renewing

    new = asyncio.run(story())
    assert (new.instance_arn, new.client_token, new.drained) == ("arn:new", "", True)
    assert house.saved() == new


def test_a_mark_that_is_taken_back_stays_so(house: House) -> None:
    member = house.join()
    membership = house.membership()

    async def story() -> None:
        await membership.mark(member, drained=True)
        await membership.mark(replace(member, drained=True), drained=False)
        assert await membership.rejoin(replace(member, availability_zone="")) == member

    asyncio.run(story())
    assert house.saved() == member


def test_two_who_write_at_the_same_time_leave_what_both_know(house: House) -> None:
    member = house.join()
    membership = house.membership()
    house.answers = deque([Registered("arn:new", (OS, ZONE))])

    async def story() -> None:
        async with asyncio.timeout(10), asyncio.TaskGroup() as jobs:
            jobs.create_task(membership.renew(member))
            for drained in (True, False, True):
                jobs.create_task(membership.mark(member, drained=drained))

    asyncio.run(story())
    assert house.saved() == replace(member, instance_arn="arn:new", drained=True)
