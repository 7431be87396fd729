"""SIGKILL at any moment, again and again, while twenty tasks and more start, run and stop on Docker.

Within ten seconds of each start everything is as it is to be; nothing that ran was restarted, nothing is there twice,
nothing is left over, and ECS was told each change once, in order. The long form is ``make soak``.
"""

from collections.abc import Callable
from pathlib import Path

from agent.model.names import Image
from tests.faults.kills import kill_for_a_while

KILLS = 7


def test_whenever_the_agent_is_killed_its_books_agree_with_docker_and_ecs_ten_seconds_later(
    tmp_path: Path, sample_image: Image, record_property: Callable[[str, object], None]
) -> None:
    tally = kill_for_a_while(tmp_path, KILLS, seed=4)
    record_property("converged within, s", [round(seconds, 2) for seconds in tally.converged])
    record_property("nothing left after, s", round(tally.orphans_after, 2))
    assert len(tally.converged) + tally.unseen == KILLS, tally
