"""What every decision keeps true of things that are attached to the host."""

from collections.abc import Iterator

from agent.engine import attachments
from agent.engine.world import Snapshot
from agent.model.decision import Decision


def broken(before: Snapshot, after: Snapshot, decision: Decision) -> Iterator[tuple[str, str]]:
    """Each attachment that breaks a rule, and the rule."""
    rows = {one.arn: one for one in decision.attachments}
    for arn in before.attachments.keys() | after.attachments.keys() | rows.keys():
        old, new = before.attachments.get(arn), after.attachments.get(arn)
        if arn in rows and (rows[arn] is not new or new == old):
            yield arn, "a row that is committed is the engine's own, and says something new"
        if new != old and arn not in rows and (new is not None or arn not in decision.detached):
            yield arn, "whatever changes is committed"
        if old is not None and new is not None and old.told and not new.told:
            yield arn, "told goes back"
    told = [report for report in decision.reports if report.attachment]
    newly = {
        arn
        for arn, one in rows.items()
        if one.told and not (arn in before.attachments and before.attachments[arn].told)
    }
    if len(told) != len(newly) or {report.attachment for report in told} != newly:
        yield "decision", "what is told is in the rows, and each is told once"
    for report in told:
        one = after.attachments.get(report.attachment)
        if one is not None and (report != attachments.report(one, report.at) or report.at >= one.expires_at):
            yield report.attachment, "it is told of in time, as what it is"
    links = [(one.kind.value == "volume", one.key) for one in after.attachments.values()]
    if len(set(links)) != len(links):
        yield "decision", "a link or disk is looked out for under one name"
