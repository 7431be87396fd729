"""Which program this is, for ECS and for people."""

VERSION = "0.1.0"

AGENT_VERSION = "1.105.1"
"""The version of the reference agent whose protocol we speak: Amazon ECS decides by it what it may send.

Our own version stands in the User-Agent beside it.
"""

AGENT_HASH = "dockworker"
