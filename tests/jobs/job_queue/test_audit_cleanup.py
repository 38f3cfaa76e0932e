"""audit-cleanup: what is old enough goes, kind by kind, and nothing else."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from job_queue.audit_cleanup import retention
from job_queue.cli import audit_cleanup, bulk_import
from job_queue.database import now
from job_queue.tables import AuditEvent, Import
from scheduledtask_sdk.failures import InvalidInput
from tests.jobs.job_queue.conftest import Queue


def clean(queue: Queue, **values: Any) -> dict[str, Any]:
    return dict(queue.call(audit_cleanup, **values).result)


@pytest.fixture
def aged(queue: Queue) -> Queue:
    """Events of two kinds, one of each a day for 100 days, and an import of each tenth day."""
    clean(queue)
    days = [now() - timedelta(days=day, minutes=-5) for day in range(100)]
    add_events(queue, ("jira", "import"), days)
    common = {"path": "x", "entity_type": "x", "status": "reading", "line": 0, "good": 0, "bad": 0}
    with engine(queue).begin() as connection:
        rows = [{"key": str(number), "updated_at": day, **common} for number, day in enumerate(days[::10])]
        connection.execute(sa.insert(Import), rows)
    return queue


def add_events(queue: Queue, kinds: Iterable[str], moments: Iterable[datetime]) -> None:
    """An event of each of the kinds at each of the moments."""
    common = {"run": "", "subject": "x", "what": "y", "detail": {}}
    with engine(queue).begin() as connection:
        rows = [{"kind": kind, "at": moment, **common} for kind, moment in product(kinds, moments)]
        connection.execute(sa.insert(AuditEvent), rows)


def engine(queue: Queue) -> sa.Engine:
    return sa.create_engine(queue.url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)


def test_events_older_than_their_kind_is_kept_go_in_batches(aged: Queue) -> None:
    result = clean(aged, keep_days=60, keep_days_by_kind="jira=20, imports=50", batch_size=7)

    assert result["deleted"] == {"jira": 79, "import": 39, "imports": 4}
    assert result["total"] == 122
    left = dict(aged.rows("SELECT kind, COUNT(*) FROM audit_events GROUP BY kind"))
    assert left == {"jira": 21, "import": 61, "cleanup": 1}
    assert clean(aged, keep_days=60, keep_days_by_kind="jira=20, imports=50")["total"] == 0


def test_a_dry_run_counts_the_same_and_deletes_nothing(aged: Queue) -> None:
    dry = clean(aged, keep_days=60, dry_run=True)
    assert aged.column("SELECT COUNT(*) FROM audit_events") == [200]
    assert clean(aged, keep_days=60)["deleted"] == dry["deleted"]


def test_a_kind_can_be_kept_for_ever(aged: Queue) -> None:
    result = clean(aged, keep_days=0, keep_days_by_kind="jira=never, imports=never")
    assert result["deleted"] == {"import": 99}


def test_an_old_import_takes_its_bad_rows_with_it(queue: Queue) -> None:
    (queue.imports / "a.csv").write_text("id,name\n1\n2,x\n")
    queue.call(bulk_import, path="a.csv", on_error="skip")
    assert queue.column("SELECT COUNT(*) FROM import_faults") == [1]
    clean(queue, keep_days=0)
    assert queue.column("SELECT COUNT(*) FROM import_faults") == [0]
    assert queue.column("SELECT COUNT(*) FROM records") == [1]


def test_a_run_that_is_stopped_tells_in_the_end_of_all_that_it_deleted(queue: Queue) -> None:
    clean(queue)
    add_events(queue, ("document", "jira"), [now() - timedelta(days=2)] * 1500)
    stopped = queue.start("audit-cleanup", "--keep-days=0", "--batch-size=1", TASK_RUN="cleanup-1")
    assert stopped.stderr is not None
    assert any("Deleting" in line for line in stopped.stderr)
    stopped.send_signal(signal.SIGTERM)
    assert queue.ended(stopped).error["class"] == "Interrupted"
    [left] = queue.column("SELECT COUNT(*) FROM audit_events WHERE kind <> 'cleanup'")
    assert 0 < left < 3000

    result = dict(queue.call(audit_cleanup, run="cleanup-1", keep_days=0).result)

    assert result["deleted"] == {"document": 1500, "jira": 1500}
    assert queue.rows("SELECT run FROM audit_events") == [("cleanup-1",)]
    assert dict(queue.call(audit_cleanup, run="cleanup-2", keep_days=0).result)["deleted"] == {"cleanup": 1}


@pytest.mark.parametrize("rule", ["jira", "jira=soon", "coffee=3", "jira=-1"])
def test_rules_that_make_no_sense_are_refused(rule: str) -> None:
    with pytest.raises(InvalidInput, match="keep_days_by_kind"):
        retention(30, rule)
