"""What the agent relies on of a Docker Engine's containers."""

from dataclasses import replace

import pytest

from agent.model.errors import GiveUp, PortTaken
from agent.model.names import DockerId
from agent.model.seen import Phase, Seen, Summary
from agent.model.status import Health, Status
from agent.model.task import Binding, Lease, Transport
from tests.contracts.conftest import Play
from tests.contracts.docks import ENDS_WITH, HEEDED, Dock, Program, create, seen

NO_SUCH = DockerId("0" * 64)
KILLED = 137
FAILED_START = 128


async def started(dock: Dock, program: Program) -> DockerId:
    made = await create(dock, dock.ask(program))
    await dock.containers.start(made)
    await dock.until_ready(made)
    return made


async def ended(dock: Dock) -> Seen:
    made = await create(dock, dock.ask(Program.ENDS))
    await dock.containers.start(made)
    return await dock.until_over(made)


def test_what_was_created_is_there_and_has_not_run(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.ask(Program.STAYS)
        made = await create(dock, act)

        for reference in (made, act.name):
            found = await seen(dock, reference)
            assert (found.docker_id, found.name) == (made, act.name)
            assert (found.phase, found.status) == (Phase.CREATED, Status.CREATED)
            assert (found.labels.task, found.labels.container, found.labels.run) == (act.task, "web", 1)
            assert (found.labels.family, found.labels.version) == ("shop", "3")
            assert (found.exit_code, found.error, found.oom_killed, found.bindings) == (None, "", False, ())
            assert found.created_at is not None
            assert (found.started_at, found.finished_at) == (None, None)
            assert found.health is None

    play(story)


def test_the_same_create_again_gives_the_same_container(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.ask(Program.STAYS)
        made = await create(dock, act)

        assert await create(dock, act) == made
        assert await create(dock, replace(act, again=True)) == made
        await dock.containers.start(made)
        assert await create(dock, replace(act, again=True)) == made
        assert [one.docker_id for one in await dock.containers.listing()] == [made]

    play(story)


def test_a_repeated_create_that_never_happened_happens(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await create(dock, replace(dock.ask(Program.STAYS), again=True))
        assert (await seen(dock, made)).status is Status.CREATED

    play(story)


@pytest.mark.parametrize("changed", ["ports", "spec"])
def test_one_that_was_asked_for_otherwise_and_never_ran_is_replaced(play: Play, changed: str) -> None:
    async def story(dock: Dock) -> None:
        act = replace(dock.ask(Program.STAYS), leases=(Lease(80, dock.free_port()),))
        old = await create(dock, act)
        if changed == "ports":
            act = replace(act, leases=(Lease(80, dock.free_port()),))
        else:
            act = replace(act, spec=replace(act.spec, cpu=77))

        new = await create(dock, act)

        assert new != old
        assert await dock.containers.inspect(old) is None
        assert (await seen(dock, act.name)).docker_id == new

    play(story)


def test_one_that_was_asked_for_otherwise_and_has_run_keeps_the_name(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.ask(Program.STAYS)
        old = await create(dock, act)
        await dock.containers.start(old)

        with pytest.raises(GiveUp, match=old[:12]) as told:
            await create(dock, replace(act, spec=replace(act.spec, cpu=77)))

        assert told.value.name == "CannotCreateContainerError"
        assert (await seen(dock, old)).status is Status.RUNNING

    play(story)


def test_a_name_that_somebody_else_holds_is_neither_seen_nor_removed_nor_taken(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.ask(Program.STAYS)
        holder = await dock.a_foreign_container(act.name)

        with pytest.raises(GiveUp, match=holder[:12]) as told:
            await create(dock, act)
        await dock.containers.remove(act.name, force=True)

        assert told.value.name == "CannotCreateContainerError"
        assert await dock.containers.inspect(act.name) is None
        assert await dock.containers.inspect(holder) is None
        assert await dock.containers.listing() == type(await dock.containers.listing())()
        assert await dock.holder(act.name) == holder

    play(story)


def test_an_image_that_is_not_there_fails_the_create_and_leaves_nothing(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.elsewhere(dock.ask(Program.STAYS))

        with pytest.raises(GiveUp, match="No such image") as told:
            await create(dock, act)

        assert told.value.name == "CannotCreateContainerError"
        assert await dock.containers.inspect(act.name) is None

    play(story)


def test_what_was_started_runs_and_says_since_when(play: Play) -> None:
    async def story(dock: Dock) -> None:
        before = dock.now()
        made = await started(dock, Program.STAYS)

        found = await seen(dock, made)
        assert (found.phase, found.status, found.exit_code, found.error) == (Phase.RUNNING, Status.RUNNING, None, "")
        assert found.created_at is not None
        assert found.started_at is not None
        assert before <= found.created_at < found.started_at
        assert found.finished_at is None

    play(story)


def test_a_second_start_of_one_that_runs_changes_nothing(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.STAYS)
        first = await seen(dock, made)
        await dock.containers.start(made)
        assert await seen(dock, made) == first

    play(story)


def test_a_start_of_one_that_is_gone_fails(play: Play) -> None:
    async def story(dock: Dock) -> None:
        with pytest.raises(GiveUp, match="No such container") as told:
            await dock.containers.start(NO_SUCH)
        assert told.value.name == "CannotStartContainerError"

    play(story)


def test_one_that_ends_by_itself_shows_its_code_and_when(play: Play) -> None:
    async def story(dock: Dock) -> None:
        over = await ended(dock)
        assert (over.phase, over.status, over.exit_code) == (Phase.EXITED, Status.STOPPED, ENDS_WITH)
        assert (over.error, over.oom_killed, over.bindings) == ("", False, ())
        assert over.started_at is not None
        assert over.finished_at is not None

    play(story)


def test_the_same_container_may_be_started_again_and_says_the_new_time(play: Play) -> None:
    async def story(dock: Dock) -> None:
        first = await ended(dock)

        await dock.containers.start(first.docker_id)
        second = await dock.until_over(first.docker_id)

        assert (second.docker_id, second.created_at) == (first.docker_id, first.created_at)
        assert second.exit_code == ENDS_WITH
        assert first.started_at is not None
        assert first.finished_at is not None
        assert second.started_at is not None
        assert second.finished_at is not None
        assert first.started_at < second.started_at
        assert first.finished_at < second.finished_at

    play(story)


def test_one_that_runs_again_shows_no_code_and_still_the_end_of_its_last_run(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.STAYS)
        await dock.containers.kill(made)
        first = await dock.until_over(made)
        assert first.exit_code == KILLED

        await dock.containers.start(made)

        again = await seen(dock, made)
        assert (again.phase, again.status, again.exit_code) == (Phase.RUNNING, Status.RUNNING, None)
        assert again.started_at is not None
        assert first.finished_at is not None
        assert again.finished_at == first.finished_at < again.started_at

    play(story)


def test_a_program_that_is_not_there_fails_the_start(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.ask(Program.ABSENT)
        made = await create(dock, act)

        with pytest.raises(GiveUp, match="/no/such/program") as told:
            await dock.containers.start(made)

        assert told.value.name == "CannotStartContainerError"
        found = await seen(dock, made)
        assert (found.phase, found.status) == (Phase.CREATED, Status.STOPPED)
        assert "/no/such/program" in found.error
        assert (found.started_at, found.finished_at, found.exit_code) == (None, None, None)
        with pytest.raises(GiveUp, match="/no/such/program"):
            await dock.containers.start(made)
        await dock.containers.remove(made, force=False)
        assert await dock.containers.inspect(made) is None

    play(story)


def test_ports_are_shown_while_the_container_runs(play: Play) -> None:
    async def story(dock: Dock) -> None:
        port = dock.free_port()
        made = await create(dock, replace(dock.ask(Program.STAYS), leases=(Lease(80, port),)))
        assert (await seen(dock, made)).bindings == ()
        await dock.containers.start(made)
        assert (await seen(dock, made)).bindings == (Binding(80, port, Transport.TCP, "0.0.0.0"),)
        await dock.containers.kill(made)
        assert (await dock.until_over(made)).bindings == ()

    play(story)


def test_a_port_that_a_process_holds_is_named_and_once_it_is_free_the_same_container_starts(play: Play) -> None:
    async def story(dock: Dock) -> None:
        with dock.held_port() as port:
            made = await create(dock, replace(dock.ask(Program.STAYS), leases=(Lease(80, port),)))
            with pytest.raises(PortTaken) as told:
                await dock.containers.start(made)
            assert told.value.port == port
            found = await seen(dock, made)
            assert (found.phase, found.exit_code, found.started_at) == (Phase.CREATED, None, None)
            assert str(port) in found.error

        await dock.containers.start(made)
        again = await seen(dock, made)
        assert (again.status, again.error) == (Status.RUNNING, "")

    play(story)


def test_a_port_that_another_container_holds_is_named_and_another_may_be_had(play: Play) -> None:
    async def story(dock: Dock) -> None:
        ports = dock.free_port(), dock.free_port(), dock.free_port()
        first = replace(dock.ask(Program.STAYS), leases=(Lease(80, ports[1]),))
        await dock.containers.start(await create(dock, first))

        act = replace(dock.ask(Program.STAYS), leases=(Lease(79, ports[0]), Lease(80, ports[1])))
        with pytest.raises(PortTaken) as told:
            await dock.containers.start(await create(dock, act))
        assert told.value.port == ports[1]

        made = await create(dock, replace(act, leases=(Lease(79, ports[0]), Lease(80, ports[2]))))
        await dock.containers.start(made)
        assert {binding.host_port for binding in (await seen(dock, made)).bindings} == {ports[0], ports[2]}

    play(story)


@pytest.mark.parametrize(("program", "code"), [(Program.ENDS, ENDS_WITH), (Program.DONE, FAILED_START)])
def test_a_failed_start_of_one_that_has_run_keeps_its_times_and_hides_no_bad_code(
    play: Play, program: Program, code: int
) -> None:
    async def story(dock: Dock) -> None:
        port = dock.free_port()
        made = await create(dock, replace(dock.ask(program), leases=(Lease(80, port),)))
        await dock.containers.start(made)
        first = await dock.until_over(made)
        other = replace(dock.ask(Program.STAYS), leases=(Lease(80, port),))
        await dock.containers.start(await create(dock, other))

        with pytest.raises(PortTaken):
            await dock.containers.start(made)

        found = await seen(dock, made)
        assert (found.phase, found.status, found.exit_code) == (Phase.EXITED, Status.STOPPED, code)
        assert (found.started_at, found.finished_at) == (first.started_at, first.finished_at)
        assert str(port) in found.error

    play(story)


def test_one_that_heeds_the_signal_ends_with_a_code_of_its_own(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.STAYS)
        before = dock.now()
        await dock.containers.stop(made, 10)
        assert (dock.now() - before).total_seconds() < 5
        assert (await seen(dock, made)).exit_code == HEEDED

    play(story)


def test_one_that_is_deaf_is_killed_after_its_grace_in_whole_seconds(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.DEAF)
        before = dock.now()
        await dock.containers.stop(made, 1.5)
        assert 2 <= (dock.now() - before).total_seconds() < 3
        over = await seen(dock, made)
        assert (over.phase, over.exit_code, over.oom_killed, over.error) == (Phase.EXITED, KILLED, False, "")

    play(story)


@pytest.mark.parametrize("grace", [0.0, -3.0])
def test_without_grace_a_stop_ends_at_once(play: Play, grace: float) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.DEAF)
        before = dock.now()
        await dock.containers.stop(made, grace)
        assert (dock.now() - before).total_seconds() < 1
        assert (await seen(dock, made)).exit_code == KILLED

    play(story)


def test_a_kill_asks_nobody(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.DEAF)
        await dock.containers.kill(made)
        over = await dock.until_over(made)
        assert (over.exit_code, over.oom_killed) == (KILLED, False)

    play(story)


def test_ending_what_has_ended_never_ran_or_never_was_is_success(play: Play) -> None:
    async def story(dock: Dock) -> None:
        over = await ended(dock)
        fresh = await create(dock, dock.ask(Program.STAYS))
        for docker_id in (over.docker_id, fresh, NO_SUCH):
            await dock.containers.kill(docker_id)
            await dock.containers.stop(docker_id, 5)
        assert await seen(dock, over.docker_id) == over
        assert (await seen(dock, fresh)).status is Status.CREATED

    play(story)


def test_what_ran_out_of_memory_is_told_so(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await create(dock, dock.ask(Program.GREEDY))
        await dock.containers.start(made)
        over = await dock.until_over(made)
        assert (over.exit_code, over.oom_killed) == (KILLED, True)

    play(story)


def test_what_runs_is_removed_by_force_alone(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await started(dock, Program.STAYS)
        with pytest.raises(GiveUp) as told:
            await dock.containers.remove(made, force=False)
        assert told.value.name == "CannotRemoveContainerError"
        assert (await seen(dock, made)).status is Status.RUNNING

        await dock.containers.remove(made, force=True)
        assert await dock.containers.inspect(made) is None

    play(story)


def test_what_has_ended_or_never_ran_is_removed_by_id_or_name_and_absence_is_success(play: Play) -> None:
    async def story(dock: Dock) -> None:
        over = await ended(dock)
        act = dock.ask(Program.STAYS)
        await create(dock, act)
        for reference in (over.docker_id, act.name):
            for _ in range(2):
                await dock.containers.remove(reference, force=False)
            assert await dock.containers.inspect(reference) is None
        assert len(await dock.containers.listing()) == 0

    play(story)


def test_a_removed_name_is_free_again(play: Play) -> None:
    async def story(dock: Dock) -> None:
        act = dock.ask(Program.STAYS)
        old = await create(dock, act)
        await dock.containers.remove(old, force=True)
        assert await create(dock, act) != old

    play(story)


def test_a_listing_shows_each_of_ours_in_its_phase(play: Play) -> None:
    async def story(dock: Dock) -> None:
        await dock.a_foreign_container(dock.ask(Program.STAYS).name)
        fresh = dock.ask(Program.STAYS)
        made = await create(dock, fresh)
        runs = await started(dock, Program.STAYS)
        over = await ended(dock)
        failed = await create(dock, dock.ask(Program.ABSENT))
        with pytest.raises(GiveUp):
            await dock.containers.start(failed)

        listing = await dock.containers.listing()

        phases = {one.docker_id: one.phase for one in listing}
        created = {made: Phase.CREATED, failed: Phase.CREATED}
        assert phases == {**created, runs: Phase.RUNNING, over.docker_id: Phase.EXITED}
        assert Summary(made, Phase.CREATED, fresh.task, "web") in listing

    play(story)


def test_what_is_not_there_is_not_seen(play: Play) -> None:
    async def story(dock: Dock) -> None:
        for reference in (NO_SUCH, "ecs-no-such-name"):
            assert await dock.containers.inspect(reference) is None
        assert len(await dock.containers.listing()) == 0

    play(story)


@pytest.mark.parametrize("verdict", [Health.HEALTHY, Health.UNHEALTHY])
def test_a_check_says_nothing_at_first_and_then_its_verdict_with_what_it_wrote(play: Play, verdict: Health) -> None:
    async def story(dock: Dock) -> None:
        made = await create(dock, dock.ask(Program.STAYS, verdict))
        await dock.containers.start(made)
        assert (await seen(dock, made)).health is Health.UNKNOWN

        found = await dock.until_checked(made, verdict)

        assert (found.health, found.health_output.strip()) == (verdict, "checked")
        assert found.status is Status.RUNNING

    play(story)


def test_one_that_has_not_run_has_no_health(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await create(dock, dock.ask(Program.STAYS, Health.HEALTHY))
        assert (await seen(dock, made)).health is None

    play(story)


def test_one_that_has_ended_is_called_unhealthy_and_a_new_run_begins_without_a_verdict(play: Play) -> None:
    async def story(dock: Dock) -> None:
        made = await create(dock, dock.ask(Program.STAYS, Health.HEALTHY))
        await dock.containers.start(made)
        await dock.until_checked(made, Health.HEALTHY)
        await dock.containers.kill(made)
        assert (await dock.until_over(made)).health is Health.UNHEALTHY

        await dock.containers.start(made)
        assert (await seen(dock, made)).health is Health.UNKNOWN

    play(story)
