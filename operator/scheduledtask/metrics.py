"""What the operator measures of itself and of the runs, for Prometheus: docs/metrics.md is made to say the same.

What is told of each task by name is not counted here: see controller/measures.py.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# When a counter began is a series more for each, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]

API_REQUESTS = Counter(
    "scheduledtask_api_requests",
    "Requests to the API server, by verb and status code (error: no answer).",
    ["verb", "code"],
)
RECONCILES = Histogram(
    "scheduledtask_reconcile_seconds",
    "Seconds that one pass over one task took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
RECONCILE_ERRORS = Counter("scheduledtask_reconcile_errors", "Passes that failed and will be tried again.")
RUN_DURATION = Histogram(
    "scheduledtask_run_duration_seconds",
    "Seconds that runs took, from the making of the Job, or its first turn, to its end, by outcome.",
    ["outcome"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
)
RUN_ATTEMPTS = Histogram(
    "scheduledtask_run_attempts",
    "Attempts that runs took, by outcome.",
    ["outcome"],
    buckets=(1, 2, 3, 5, 10),
)
RUN_LATENESS = Histogram(
    "scheduledtask_run_lateness_seconds",
    "Seconds from a slot to the making of its Job, or its first turn, by trigger "
    "(CatchUp: a missed slot started late).",
    ["trigger"],
    buckets=(1, 5, 15, 60, 120, 300, 900, 3600, 4 * 3600, 24 * 3600),
)
WEBHOOK_TRIES = Counter(
    "scheduledtask_webhook_tries",
    "Tries to deliver a webhook message, by result: delivered, failed (tried again), given_up, gone (410).",
    ["result"],
)
for result in ("delivered", "failed", "given_up", "gone"):
    # From the start, or an increase from nothing to one would be seen by no query.
    WEBHOOK_TRIES.labels(result=result)
WEBHOOK_QUEUE_DEPTH = Gauge("scheduledtask_webhook_queue_depth", "Tasks with webhook messages that are due.")
QUEUE_DEPTH = Gauge("scheduledtask_queue_depth", "Tasks that wait for a pass.")
GATE_QUEUE_DEPTH = Gauge("scheduledtask_gate_queue_depth", "Groups and queues that wait for a pass.")
TASKS = Gauge("scheduledtask_tasks", "Tasks that are known.")
WATCH_AGE = Gauge(
    "scheduledtask_watch_age_seconds",
    "Seconds since the last sign of life of a watch: an event or a bookmark.",
    ["watch"],
)
LEADER = Gauge(
    "scheduledtask_leader",
    "1 in the process that works: it holds the Lease, or runs without an election. 0 in a standby.",
)
