"""Whether a pod has started, and what it waits for if it has not: read where an attempt is late."""

from scheduledtask.domain.values import OpenPod
from scheduledtask.kube.wire import PodObject


def open_pod(item: PodObject) -> OpenPod | None:
    """What is to be known of a pod that has not ended; None where it has, or is on its way out."""
    meta, status = item.metadata, item.status
    if meta.deletion_timestamp or status.phase in ("Failed", "Succeeded"):
        return None
    states = [entry.state for entry in (*status.init_container_statuses, *status.container_statuses)]
    ends = [state.terminated.finished_at for state in states if state.terminated]
    unscheduled = [
        (known.reason, known.message)
        for known in status.conditions
        if (known.type, known.status) == ("PodScheduled", "False")
    ]
    return OpenPod(
        name=meta.name,
        creation_time=meta.created,
        pending=status.phase == "Pending",
        running=any(state.running for state in states),
        last_end=max((end for end in ends if end), default=None),
        waiting=tuple((state.waiting.reason, state.waiting.message) for state in states if state.waiting),
        unscheduled=unscheduled[0] if unscheduled else None,
    )
