"""``python -m tests.faults.hasty 20 run``: the agent, with a twentieth of its patience.

That is how long it bears a silent ACS, and how long it waits before it becomes a new instance.
"""

import sys

from agent.__main__ import main
from agent.acs import loop

if __name__ == "__main__":
    factor = float(sys.argv.pop(1))
    loop.INACTIVITY /= factor
    loop.INACTIVITY_JITTER /= factor
    loop.RENEW_AFTER /= factor
    main()
