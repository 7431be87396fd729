"""Updates that ECS offers. This agent comes as a package, and whoever installed it updates it; so the answer is no.

The words are those of an agent that was told not to update itself ("wire protocol", Agent update), and they are the
only "no" that the protocol has.
"""

from agent.acs.heard import Heard, Note, dropped
from agent.wire import acs, acs_attachments

DISABLED = "Updates are disabled"


def refused(message: acs_attachments.StageUpdateMessage | acs_attachments.PerformUpdateMessage) -> Heard:
    """Say no to an update, whatever it is. Nobody could tell what the answer to a nameless message is about."""
    if not message.message_id:
        return dropped(None, "messageId: must not be empty")
    answer = acs.NackRequest(message.cluster_arn, message.container_instance_arn, message.message_id, DISABLED)
    fields = {"type": type(message).__name__, "message_id": message.message_id}
    return Heard(replies=(answer,), notes=(Note("acs_update_refused", fields, warning=True),))
