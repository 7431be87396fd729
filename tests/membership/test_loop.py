import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.membership.backoff import Backoff
from agent.membership.decisions import Draws, MembershipSettings
from agent.membership.loop import Edge, Membership, draw_identity
from agent.model.errors import Fatal, TryAgain
from agent.model.identity import Attribute, Identity, Resource, Trace
from agent.model.registration import Registered, Registration, RegistrationFailure
from agent.store.identity_driver import IdentityFile

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
    ec2: str = ""
    waits: list[float] = field(default_factory=list)
    now: float = 0.0
    drawn: int = 0
    disk_full: bool = False
    told: list[Trace] = field(default_factory=list)
    living: set[str] = field(default_factory=set)
    claimed: list[str] = field(default_factory=list)

    async def register(self, registration: Registration) -> Registered:
        self.asked.append(registration)
        self.on_disk.append(await IdentityFile(self.path).read())
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

    async def identity_document(self) -> tuple[str, str]:
        return ("doc", "sig") if self.ec2 else ("", "")

    async def instance_id(self) -> str:
        return self.ec2

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
        return self.told

    def claim(self, agent_id: str) -> None:
        if agent_id in self.living:
            raise Fatal(f"another agent is running as {agent_id}", 5)
        self.claimed.append(agent_id)

    def is_alive(self, agent_id: str) -> bool:
        return agent_id in self.living

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
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


def test_two_installations_never_draw_the_same() -> None:
    one, other = draw_identity(), draw_identity()
    assert len(one.agent_id) == 32
    assert len({one.agent_id, other.agent_id, one.client_token, other.client_token}) == 4


def test_a_wait_is_lengthened_by_at_most_a_fifth() -> None:
    assert Backoff().wait(0.0) == 3.0
    assert Backoff().wait(0.999) < 3.6
