import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import Settings
from agent.docker import labels
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.surroundings import NOWHERE_SPECIAL, Surroundings
from agent.model.acts import CreateContainer
from agent.model.errors import GiveUp, OutcomeUnknown, PortTaken, TryAgain
from agent.model.identity import Identity
from agent.model.names import DockerId, Image
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import Status
from agent.model.task import Binding, Lease, Transport
from tests.conftest import a_mark
from tests.docker.cutting_proxy import cutting_proxy
from tests.docker.making import NOWHERE, Room, a_free_port, a_room, an_act, with_spec
from tests.sample_image import SAMPLE, client, remove_containers, remove_image

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("sample_image")]

NO_SUCH = DockerId("0" * 64)

Story = Callable[[Room], Awaitable[None]]


def run(owner: Identity, story: Story) -> None:
    async def told() -> None:
        async with a_room(owner) as room:
            await story(room)

    asyncio.run(told())


async def look(room: Room, docker_id: str) -> Seen:
    seen = await room.containers.inspect(docker_id)
    assert seen is not None
    return seen


async def until_exited(room: Room, docker_id: str) -> Seen:
    async with room.engine.call(20) as docker:
        await docker.containers.container(docker_id).wait()
    return await look(room, docker_id)


async def a_foreign_container(owner: Identity, host: str, name: str) -> str:
    async with client(host) as docker:
        key, _, value = a_mark(owner).partition("=")
        config: dict[str, Any] = {"Image": SAMPLE, "Cmd": ["sleep", "600"], "Labels": {key: value}}
        return (await docker.containers.create(config, name=name)).id


def test_a_container_is_created_started_and_exits_with_its_code(owner: Identity) -> None:
    async def story(room: Room) -> None:
        act = an_act("sh", "-c", "exit 7")
        made = await room.containers.create(act)
        created = await look(room, made)
        assert (created.status, created.exit_code, created.started_at) == (Status.CREATED, None, None)
        assert created.name == act.name

        await room.containers.start(made)
        over = await until_exited(room, made)

        assert (over.status, over.exit_code, over.error) == (Status.STOPPED, 7, "")
        assert over.created_at is not None
        assert over.started_at is not None
        assert over.finished_at is not None
        assert over.created_at < min(over.started_at, over.finished_at)  # of a quick exit Docker notes the end first
        assert (over.labels.task, over.labels.agent) == (act.task, owner.agent_id)

    run(owner, story)


def test_a_second_create_adopts_what_the_first_made(owner: Identity) -> None:
    async def story(room: Room) -> None:
        act = an_act()

        first, second = await asyncio.gather(room.containers.create(act), room.containers.create(act))
        third = await room.containers.create(replace(act, again=True))

        assert first == second == third
        assert len(await room.containers.listing()) == 1

    run(owner, story)


def test_an_act_of_unknown_outcome_that_never_happened_is_done(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(replace(an_act(), again=True))

        assert (await look(room, made)).status is Status.CREATED

    run(owner, story)


def test_what_is_ours_and_never_started_is_replaced(owner: Identity) -> None:
    async def story(room: Room) -> None:
        act = replace(an_act(), leases=(Lease(80, a_free_port(), chosen=True),))
        old = await room.containers.create(act)

        new = await room.containers.create(replace(act, leases=(Lease(80, a_free_port(), chosen=True),)))

        assert new != old
        assert await room.containers.inspect(old) is None
        assert (await look(room, act.name)).docker_id == new

    run(owner, story)


def test_what_is_ours_and_has_run_keeps_its_name(owner: Identity) -> None:
    async def story(room: Room) -> None:
        act = an_act()
        old = await room.containers.create(act)
        await room.containers.start(old)

        with pytest.raises(GiveUp, match=old[:12]) as told:
            await room.containers.create(with_spec(act, cpu=77))

        assert told.value.name == "CannotCreateContainerError"
        assert (await look(room, old)).status is Status.RUNNING

    run(owner, story)


def test_a_name_that_somebody_else_holds_is_named_with_its_holder(owner: Identity, docker_host: str) -> None:
    async def story(room: Room) -> None:
        act = an_act()
        holder = await a_foreign_container(owner, docker_host, act.name)

        with pytest.raises(GiveUp, match=holder[:12]) as told:
            await room.containers.create(act)

        assert told.value.reason.startswith(f"CannotCreateContainerError: the name {act.name} is held by container")
        assert await room.containers.inspect(act.name) is None

    run(owner, story)


def test_a_missing_image_fails_the_create(owner: Identity) -> None:
    async def story(room: Room) -> None:
        with pytest.raises(GiveUp, match="No such image") as told:
            await room.containers.create(an_act(image="dockworker.invalid/missing:1"))

        assert told.value.name == "CannotCreateContainerError"

    run(owner, story)


@asynccontextmanager
async def another_image(owner: Identity, docker_host: str, *changes: str) -> AsyncIterator[str]:
    """The sample image with *changes*, such as ``ENV A=1``, under a name of its own."""
    image = f"dockworker.invalid/other:{owner.agent_id}"
    repository, _, tag = image.rpartition(":")
    base = await a_foreign_container(owner, docker_host, f"dockworker-test-{owner.agent_id}")
    async with client(docker_host) as docker:
        await docker.containers.container(base).commit(repository=repository, tag=tag, changes=list(changes))
    try:
        yield image
    finally:
        await remove_containers(docker_host, f"{labels.AGENT}={owner.agent_id}")
        await remove_image(docker_host, image)


def test_a_container_is_adopted_though_its_image_has_no_name_any_more(owner: Identity, docker_host: str) -> None:
    async def story() -> None:
        around = Surroundings(region="eu-west-1")
        async with (
            another_image(owner, docker_host, "ENV A=1") as image,
            a_room(owner, around=around) as room,
            client(docker_host) as docker,
        ):
            act = an_act(image=image)
            made = await room.containers.create(act)
            await docker.images.delete(image, force=True)

            assert await room.containers.create(replace(act, again=True)) == made

    asyncio.run(story())


def test_the_region_is_told_unless_the_image_says_one(owner: Identity, docker_host: str) -> None:
    async def environment(room: Room, act: CreateContainer) -> list[str]:
        made = await room.containers.create(act)
        async with room.engine.call(10) as docker:
            return (await docker.containers.container(made).show())["Config"]["Env"] or []

    async def story() -> None:
        around = Surroundings(region="eu-west-1")
        own = "ENV AWS_DEFAULT_REGION=us-west-2"
        async with another_image(owner, docker_host, own) as image, a_room(owner, around=around) as room:
            assert "AWS_REGION=eu-west-1" in await environment(room, an_act())
            with_own = await environment(room, an_act(image=image))
            with pytest.raises(GiveUp, match="No such image"):
                await room.containers.create(an_act(image="dockworker.invalid/missing:1"))
            with pytest.raises(GiveUp, match="invalid reference format"):
                await room.containers.create(an_act(image="Not/A//Name:1"))
        assert [entry for entry in with_own if "REGION" in entry] == ["AWS_DEFAULT_REGION=us-west-2"]

    asyncio.run(story())


def test_a_create_or_start_that_takes_too_long_is_unknown_and_told_as_ecs_users_know_it(
    owner: Identity, docker_host: str
) -> None:
    async def story() -> None:
        async with DockerEngine.connect(docker_host) as engine:
            settings = Settings(container_create_timeout=timedelta(), container_start_timeout=timedelta())
            hasty = ContainerDriver.of(engine, settings, lambda: owner, NOWHERE_SPECIAL)
            with pytest.raises(OutcomeUnknown, match="DockerTimeoutError: Could not transition to created; timed out"):
                await hasty.create(an_act())
            with pytest.raises(OutcomeUnknown, match="DockerTimeoutError: Could not transition to started; timed out"):
                await hasty.start(NO_SUCH)

    asyncio.run(story())


def test_ports_of_ipv6_are_told_where_the_operator_wants_them(owner: Identity) -> None:
    async def story(room: Room) -> None:
        act = replace(an_act(), leases=(Lease(80, a_free_port()),))
        made = await room.containers.create(act)
        await room.containers.start(made)
        wordy = ContainerDriver.of(
            room.engine, Settings(exclude_ipv6_portbinding=False), lambda: owner, NOWHERE_SPECIAL
        )
        usual = ContainerDriver.of(room.engine, Settings(), lambda: owner, NOWHERE_SPECIAL)

        addresses = []
        for driver in (usual, wordy):
            seen = await driver.inspect(made)
            assert seen is not None
            addresses.append({binding.bind_ip for binding in seen.bindings})

        assert addresses == [{"0.0.0.0"}, {"0.0.0.0", "::"}]

    run(owner, story)


def test_a_port_is_told_as_taken_though_a_variable_has_its_number(owner: Identity) -> None:
    async def story(room: Room) -> None:
        port = a_free_port()
        act = replace(an_act(environment={"PORT": str(port)}), leases=(Lease(80, port),))
        await room.containers.start(await room.containers.create(replace(an_act(), leases=act.leases)))

        with pytest.raises(PortTaken, match=str(port)):
            await room.containers.start(await room.containers.create(act))

    run(owner, story)


def test_a_refused_create_shows_no_secret(owner: Identity) -> None:
    async def story(room: Room) -> None:
        options = {"max-file": "hunter2-hunter2"}
        host = json.dumps({"LogConfig": {"Type": "json-file", "Config": options}, "Binds": ["hunter2-hunter2"]})

        with pytest.raises(GiveUp) as told:
            await room.containers.create(an_act(host_config=host))

        assert "***" in str(told.value)
        assert "hunter2" not in str(told.value)

    run(owner, story)


def test_a_command_that_is_not_there_fails_the_start_and_shows_no_secret(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act("/opt/hunter2-hunter2/run", environment={"T": "hunter2-hunter2"}))

        with pytest.raises(GiveUp, match=r"/opt/\*\*\*/run") as told:
            await room.containers.start(made)

        seen = await look(room, made)
        assert told.value.name == "CannotStartContainerError"
        assert (seen.phase, seen.status) == (Phase.CREATED, Status.STOPPED)
        assert "/opt/***/run" in seen.error
        assert "hunter2" not in f"{told.value}{seen}"

    run(owner, story)


def test_a_start_of_one_that_runs_is_success_and_of_one_that_is_gone_is_not(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act())
        await room.containers.start(made)
        await room.containers.start(made)

        with pytest.raises(GiveUp, match="No such container"):
            await room.containers.start(NO_SUCH)

    run(owner, story)


def test_one_that_ignores_the_signal_is_killed_when_its_grace_is_over(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act("sh", "-c", "trap '' TERM; while :; do sleep 600; done"))
        await room.containers.start(made)

        before = time.monotonic()
        await room.containers.stop(made, 1.5)
        took = time.monotonic() - before

        assert 2 <= took < 3
        assert (await look(room, made)).exit_code == 137

    run(owner, story)


def test_without_grace_a_stop_is_at_once(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act())
        await room.containers.start(made)

        before = time.monotonic()
        await room.containers.stop(made, -3.0)

        assert time.monotonic() - before < 1
        assert (await look(room, made)).exit_code == 137

    run(owner, story)


def test_one_that_heeds_the_signal_leaves_with_its_own_code(owner: Identity) -> None:
    async def story(room: Room) -> None:
        script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"
        made = await room.containers.create(an_act("sh", "-c", script))
        await room.containers.start(made)
        async with room.engine.call(10) as docker:
            async for line in docker.containers.container(made).log(stdout=True, follow=True):
                assert "ready" in line
                break

        await room.containers.stop(made, 10)

        assert (await look(room, made)).exit_code == 3

    run(owner, story)


def test_a_kill_needs_no_grace(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act())
        await room.containers.start(made)

        await room.containers.kill(made)

        assert (await until_exited(room, made)).exit_code == 137

    run(owner, story)


def test_ending_what_has_ended_or_never_was_is_success(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act())
        for docker_id in (made, NO_SUCH):
            await room.containers.kill(docker_id)
            await room.containers.stop(docker_id, 5)
        await room.containers.remove(made, force=False)
        await room.containers.remove(made, force=False)
        await room.containers.remove("ecs-no-such-name", force=True)

        assert await room.containers.inspect(made) is None

    run(owner, story)


def test_removals_at_the_same_time_all_succeed(owner: Identity) -> None:
    async def story(room: Room) -> None:
        act = an_act()
        made = await room.containers.create(act)
        await room.containers.start(made)

        await asyncio.gather(*(room.containers.remove(reference, force=True) for reference in (made, act.name, made)))

        assert await room.containers.inspect(act.name) is None

    run(owner, story)


def test_a_name_that_somebody_else_holds_is_not_removed(owner: Identity, docker_host: str) -> None:
    async def story(room: Room) -> None:
        name = f"dockworker-test-{owner.agent_id}"
        holder = await a_foreign_container(owner, docker_host, name)

        await room.containers.remove(name, force=True)

        async with client(docker_host) as docker:
            assert (await docker.containers.get(name)).id == holder

    run(owner, story)


def test_what_runs_is_removed_by_force_alone(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act())
        await room.containers.start(made)

        with pytest.raises(GiveUp) as told:
            await room.containers.remove(made, force=False)
        assert told.value.name == "CannotRemoveContainerError"
        await room.containers.remove(made, force=True)

        assert await room.containers.inspect(made) is None

    run(owner, story)


def test_leased_ports_are_published_for_tcp_and_udp(owner: Identity) -> None:
    async def story(room: Room) -> None:
        tcp, udp = a_free_port(), a_free_port(socket.SOCK_DGRAM)
        leases = (Lease(8080, tcp), Lease(8080, udp, Transport.UDP))
        script = "nc -lu -p 8080 -e cat & while :; do echo hello | nc -l -p 8080; done"
        made = await room.containers.create(replace(an_act("sh", "-c", script), leases=leases))
        await room.containers.start(made)

        assert (await look(room, made)).bindings == (
            Binding(8080, tcp, Transport.TCP, "0.0.0.0"),
            Binding(8080, udp, Transport.UDP, "0.0.0.0"),
        )
        await asyncio.to_thread(hear_hello, tcp)

    run(owner, story)


def hear_hello(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as there:
            if there.recv(64) == b"hello\n":
                return
    pytest.fail("nobody answered on the published port")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_a_process_holds_is_told_and_another_can_be_taken(owner: Identity, kind: socket.SocketKind) -> None:
    async def story(room: Room) -> None:
        transport = Transport.TCP if kind is socket.SOCK_STREAM else Transport.UDP
        with socket.socket(socket.AF_INET, kind) as holder:
            holder.bind(("0.0.0.0", 0))
            if kind is socket.SOCK_STREAM:
                holder.listen()
            port = holder.getsockname()[1]
            act = replace(an_act(), leases=(Lease(80, port, transport, chosen=True),))
            with pytest.raises(PortTaken) as told:
                await room.containers.start(await room.containers.create(act))
            assert told.value.port == port

            other = a_free_port(kind)
            made = await room.containers.create(replace(act, leases=(Lease(80, other, transport, chosen=True),)))
            await room.containers.start(made)
            assert [b.host_port for b in (await look(room, made)).bindings] == [other]

    run(owner, story)


def test_a_port_that_another_container_holds_is_told(owner: Identity) -> None:
    async def story(room: Room) -> None:
        leases = (Lease(79, a_free_port()), Lease(80, a_free_port()))
        await room.containers.start(await room.containers.create(replace(an_act(), leases=leases[1:])))

        with pytest.raises(PortTaken) as told:
            await room.containers.start(await room.containers.create(replace(an_act(), leases=leases)))

        assert told.value.port == leases[1].host_port

    run(owner, story)


@pytest.mark.parametrize("mode", ["host", "none"])
def test_other_network_modes_publish_nothing(owner: Identity, mode: str) -> None:
    async def story(room: Room) -> None:
        act = replace(an_act(), network_mode=mode, leases=(Lease(80, a_free_port()),))
        made = await room.containers.create(act)
        await room.containers.start(made)

        assert (await look(room, made)).bindings == ()

    run(owner, story)


def test_a_container_that_wants_too_much_memory_is_shown_as_killed_for_it(owner: Identity) -> None:
    async def story(room: Room) -> None:
        greedy = an_act("sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done", memory=8)
        made = await room.containers.create(greedy)
        await room.containers.start(made)

        over = await until_exited(room, made)

        assert (over.oom_killed, over.exit_code) == (True, 137)

    run(owner, story)


def test_nothing_that_is_seen_shows_environment_or_options(owner: Identity) -> None:
    async def story(room: Room) -> None:
        log = json.dumps({"LogConfig": {"Type": "json-file", "Config": {"tag": "hunter2-option"}}})
        act = an_act(environment={"TOKEN": "hunter2-value"}, host_config=log)
        made = await room.containers.create(act)

        assert "hunter2" not in repr(await look(room, made))
        assert "hunter2" not in repr(await room.containers.listing())
        assert "hunter2" not in repr(act)

    run(owner, story)


def test_a_listing_shows_ours_alone_stopped_ones_too(owner: Identity, docker_host: str) -> None:
    async def story(room: Room) -> None:
        over, waiting = an_act("true"), an_act()
        ended = await room.containers.create(over)
        await room.containers.start(ended)
        await until_exited(room, ended)
        created = await room.containers.create(waiting)
        await a_foreign_container(owner, docker_host, f"dockworker-test-{owner.agent_id}")
        stranger = replace(owner, instance_arn=f"{owner.instance_arn}-stranger")
        theirs = ContainerDriver(room.engine, lambda: replace(stranger, agent_id=f"{owner.agent_id}-stranger"))

        assert sorted(await room.containers.listing(), key=lambda s: s.phase) == [
            Summary(created, Phase.CREATED, waiting.task, "web"),
            Summary(ended, Phase.EXITED, over.task, "web"),
        ]
        assert list(await theirs.listing()) == []
        assert await theirs.inspect(created) is None

    run(owner, story)


def test_an_installation_that_lost_its_id_takes_over_by_its_instance(owner: Identity) -> None:
    async def story(room: Room) -> None:
        made = await room.containers.create(an_act())
        heir = ContainerDriver(room.engine, lambda: replace(owner, agent_id="born-again"))

        assert [entry.docker_id for entry in await heir.listing()] == [made]
        assert await heir.inspect(made) is not None

    run(owner, story)


def test_a_lost_answer_leaves_the_outcome_of_a_stop_unknown(owner: Identity, docker_host: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with cutting_proxy(docker_host, tmp_path) as proxy, a_room(owner, proxy.host) as room:
            made = await room.containers.create(an_act())
            await room.containers.start(made)
            stop = asyncio.create_task(room.containers.stop(made, 2))
            await proxy.wait_for(b"/stop?t=2 ")

            proxy.cut()

            with pytest.raises(OutcomeUnknown):
                await stop
            assert await room.containers.inspect(made) is not None  # the next call connects again

    asyncio.run(story())


def test_without_docker_acts_are_unknown_and_looks_may_be_taken_again(owner: Identity) -> None:
    async def story() -> None:
        async with DockerEngine.connect(NOWHERE) as engine:
            containers = ContainerDriver(engine, lambda: owner)
            acts: tuple[Callable[[], Awaitable[object]], ...] = (
                lambda: containers.create(an_act()),
                lambda: containers.create(replace(an_act(), again=True)),
                lambda: containers.start(NO_SUCH),
                lambda: containers.stop(NO_SUCH, 1),
                lambda: containers.kill(NO_SUCH),
                lambda: containers.remove(NO_SUCH, force=True),
            )
            for act in acts:
                with pytest.raises(OutcomeUnknown):
                    await act()
            with pytest.raises(TryAgain):
                await containers.inspect(NO_SUCH)
            with pytest.raises(TryAgain):
                await containers.listing()

    asyncio.run(story())


def test_those_who_create_at_once_share_one_question_about_their_image(owner: Identity) -> None:
    class Counting(ContainerDriver):
        asked = 0

        async def _environment_in(self, image: Image) -> Collection[str]:
            self.asked += 1
            return await super()._environment_in(image)

    async def story() -> None:
        async with DockerEngine.connect() as engine:
            driver = Counting(engine, lambda: owner, Surroundings(region="us-east-1"))
            made = await asyncio.gather(*(driver.create(an_act()) for _ in range(4)))
            assert driver.asked == 1
            made.append(await driver.create(an_act()))
            assert driver.asked == 2  # what the tag names may be another image by now
            for one in made:
                await driver.remove(one, force=True)

    asyncio.run(story())
