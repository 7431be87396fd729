"""``python -m tests.faults.hasty 20 run``: the agent, which gives a silent ACS up in a twentieth of the time."""

import sys

from agent.__main__ import main
from agent.acs import loop

if __name__ == "__main__":
    factor = float(sys.argv.pop(1))
    loop.INACTIVITY /= factor
    loop.INACTIVITY_JITTER /= factor
    main()
