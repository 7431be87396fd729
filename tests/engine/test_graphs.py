"""Whatever waits for whatever: nobody waits for ever, and all come down in reverse order.

A long form: ``DOCKWORKER_GRAPHS=10000 pytest tests/engine/test_graphs.py --timeout=0``.
"""

import os
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.status import Status
from tests.engine.graph_plans import graph
from tests.engine.graphs import T0, Play
from tests.engine.tape import Tape

EXAMPLES = int(os.environ.get("DOCKWORKER_GRAPHS", "500"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="DOCKWORKER_GRAPHS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(st.binary(min_size=80, max_size=260))
def test_no_graph_is_stuck_and_each_stops_in_reverse_order(choices: bytes) -> None:
    tape = Tape(choices)
    play = Play(graph(tape), tape)
    moment = tape.below(3)
    play.begin()
    if moment:
        play.run(until=T0 + timedelta(seconds=tape.below(30)))
    else:
        play.run()
        play.check_waits()
    assert play.docker.now <= T0 + play.graph.patience()
    play.check_verdicts()
    asked = play.docker.now
    play.stop()
    play.run()
    assert play.task.known is Status.STOPPED
    assert not list(play.docker.running())
    assert play.docker.now <= asked + play.graph.patience()
    play.check_verdicts()
