"""The API server's no to a CronJob, in the words of the task it was made from."""

from datetime import datetime

from scheduledtask.domain.conditions import shortened
from scheduledtask.domain.values import Refusal

_OUR_PATHS = (
    ("spec.jobTemplate.spec.template.", "spec.template."),
    ("spec.jobTemplate.spec.activeDeadlineSeconds", "spec.timeouts.run"),
    ("spec.startingDeadlineSeconds", "spec.startingDeadline"),
)
_MISFIT = ("failed to create typed patch object", "failed to convert new object")
_WEBHOOK_DOWN = "failed calling webhook"
_TOO_LARGE = "too large"


def refusal(code: int, message: str, digest: str, now: datetime) -> Refusal | None:
    """What a failed apply says of the task; None where it says nothing: a server in trouble, a lost connection.

    400, 413 and 422 answer the content, and so does a 500 of server-side apply about what doesn't fit the schema, or
    of etcd about the size. A quota, a policy or an admission webhook (403, or 500 where the webhook itself is down)
    may say yes later.
    """
    misfit = any(words in message for words in _MISFIT)
    may_pass = code == 403 or _WEBHOOK_DOWN in message
    if code not in (400, 413, 422) and not (misfit or may_pass or _TOO_LARGE in message):
        return None
    for theirs, ours in _OUR_PATHS:
        message = message.replace(theirs, ours)
    if misfit:
        message = f"spec.template is no PodTemplateSpec: {message.partition(': ')[2] or message}"
    text = shortened(f"The API server refuses the CronJob: {message}")
    return Refusal(digest=digest, message=text, time=now.replace(microsecond=0), final=not may_pass)
