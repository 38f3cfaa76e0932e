"""Which Jobs the CronJob controller is told of."""

from dataclasses import replace

from scheduledtask.api.status import Trigger
from scheduledtask.domain.adoption import adoption
from scheduledtask.domain.ledger import keep_ledger
from scheduledtask.domain.values import JobReference, Snapshot
from tests.unit.builders import NOON, a_cron_job, a_job, a_task

MANUAL = a_job("by-hand", trigger=Trigger.MANUAL, scheduled_time=None)
UNSEEN = Snapshot(a_task(), a_cron_job(), (MANUAL,), (), None, None)


def remembering(snapshot: Snapshot) -> Snapshot:
    """The same with the status written."""
    status = keep_ledger(snapshot, NOON, 10).status
    return replace(snapshot, task=replace(snapshot.task, status=status))


def test_a_run_that_the_status_has_as_active_is_adopted() -> None:
    adopted, _ = adoption(remembering(UNSEEN), NOON)
    assert adopted is not None
    assert adopted.active == (JobReference(MANUAL.name, MANUAL.uid),)


def test_a_run_that_nothing_remembers_is_not_for_the_controller_may_delete_it() -> None:
    """Under Replace, at the next slot; and then the command that started it would start it again."""
    assert adoption(UNSEEN, NOON) == (None, None)
