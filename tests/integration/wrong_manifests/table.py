"""Mistakes by name, with the field and the mend that the API server's answer must hold; and what it must accept."""

from typing import NamedTuple

from tests.integration.wrong_manifests.manifests import CONTAINER, Manifest, changed, parameter, pod, spec


class Wrong(NamedTuple):
    """A mistake: what is changed in a good manifest, and what the answer must hold: the field, and the mend."""

    change: Manifest
    field: str
    mend: str


REFUSED = {
    "a name too long for a CronJob": Wrong({"metadata": {"name": "a" * 53}}, "metadata.name", "to 52 characters"),
    "a name with a dot": Wrong({"metadata": {"name": "ticket.miner"}}, "metadata.name", "write - instead"),
    "no spec": Wrong({"spec": None}, "spec", "Required value"),
    "an unknown field": Wrong(spec(shedule="@daily"), "spec.shedule", "unknown field"),
    "an empty schedule": Wrong(spec(schedule=""), "spec.schedule", "such as 0 3 * * *"),
    "four fields": Wrong(spec(schedule="0 3 * *"), "spec.schedule", "fewer than five fields"),
    "seconds in the schedule": Wrong(spec(schedule="0 0 3 * * *"), "spec.schedule", "more than five fields"),
    "a minute out of range": Wrong(
        spec(schedule="61 * * * *"), "spec.schedule", 'minute "61" in the schedule: write 0-59'
    ),
    "an hour out of range": Wrong(
        spec(schedule="0 24 * * *"), "spec.schedule", 'hour "24" in the schedule: write 0-23'
    ),
    "day of month 0": Wrong(
        spec(schedule="0 0 0 * *"), "spec.schedule", 'day of month "0" in the schedule: write 1-31'
    ),
    "an unknown month": Wrong(spec(schedule="0 0 1 JANUARY *"), "spec.schedule", "write 1-12 or JAN-DEC"),
    "Sunday as 7": Wrong(spec(schedule="0 0 * * 7"), "spec.schedule", "write 0-6 (0 is Sunday)"),
    "a step of 0": Wrong(spec(schedule="*/0 * * * *"), "spec.schedule", "steps such as */2"),
    "a range backwards": Wrong(spec(schedule="0 22-6 * * *"), "spec.schedule", "22-23,0-6"),
    "an unknown word": Wrong(spec(schedule="@reboot"), "spec.schedule", "write @yearly, @annually, @monthly"),
    "every half minute": Wrong(spec(schedule="@every 30s"), "spec.schedule", "one minute or more"),
    "every but how often": Wrong(spec(schedule="@every day"), "spec.schedule", "such as @every 90m"),
    "every hour, within half an hour": Wrong(
        spec(schedule="@every 1h", startingDeadline="30m"), "spec.startingDeadline", "raise the deadline"
    ),
    "a time zone in the schedule": Wrong(
        spec(schedule="TZ=Europe/Berlin 0 5 * * *"), "spec.schedule", "write it in spec.timeZone"
    ),
    "the machine's own zone": Wrong(spec(timeZone="Local"), "spec.timeZone", "such as Europe/Berlin"),
    "a pause without a zone": Wrong(spec(pauseUntil="2026-12-01 00:00"), "spec.pauseUntil", "write a time in RFC 3339"),
    "a pause until February 30": Wrong(
        spec(pauseUntil="2027-02-30T00:00:00Z"), "spec.pauseUntil", "write a time in RFC 3339"
    ),
    "a deadline below the controller's own": Wrong(spec(startingDeadline="5s"), "spec.startingDeadline", "10s or more"),
    "a negative delay": Wrong(spec(retry={"backoff": ["-1m"]}), "spec.retry.backoff[0]", "like 1h30m, 15m or 90s"),
    "a delay in words": Wrong(spec(retry={"backoff": ["1m", "5 minutes"]}), "spec.retry.backoff[1]", "like 1h30m"),
    "no delay at all": Wrong(spec(retry={"backoff": []}), "spec.retry.backoff", "at least 1 item"),
    "no attempt": Wrong(spec(retry={"maxAttempts": 0}), "spec.retry.maxAttempts", "greater than or equal to 1"),
    "success as a failure": Wrong(
        spec(retry={"nonRetryable": {"exitCodes": [0]}}), "spec.retry.nonRetryable.exitCodes[0]", "equal to 1"
    ),
    "an exit code beyond a byte": Wrong(
        spec(retry={"nonRetryable": {"exitCodes": [256]}}), "spec.retry.nonRetryable.exitCodes[0]", "equal to 255"
    ),
    "a word that every message holds": Wrong(
        spec(retry={"nonRetryable": {"messages": [""]}}), "spec.retry.nonRetryable.messages[0]", "at least 1 char"
    ),
    "no time to run": Wrong(spec(timeouts={"run": "0s"}), "spec.timeouts.run", "write 1s or more"),
    "an attempt longer than its run": Wrong(
        spec(timeouts={"run": "10m", "attempt": "1h"}), "spec.timeouts.attempt", "lower attempt or raise run"
    ),
    "an unknown policy": Wrong(
        spec(concurrency={"policy": "Wait"}), "spec.concurrency.policy", '"Forbid", "Allow", "Replace", "Queue"'
    ),
    "a group whose runs overlap": Wrong(
        spec(concurrency={"policy": "Allow", "group": "miner"}), "spec.concurrency.policy", "drop the group"
    ),
    "the same parameter twice": Wrong(
        spec(parameters=[{"name": "days"}, {"name": "days"}]), "spec.parameters[1]", "Duplicate value"
    ),
    "a parameter that is no variable": Wrong(
        spec(parameters=[{"name": "back-fill"}]), "spec.parameters[0].name", "such as backfill_days"
    ),
    "a default of another type": Wrong(
        parameter(type="integer", default="soon"), "spec.parameters[0].default", "change the type"
    ),
    "a boolean that is neither": Wrong(
        parameter(type="boolean", default="yes"), "spec.parameters[0].default", "not of type boolean"
    ),
    "a default beside its choices": Wrong(
        parameter(enum=["1", "7"], default="3"), "spec.parameters[0].default", "add it there or choose another"
    ),
    "a choice of another type": Wrong(
        parameter(type="number", enum=["1.5", "x"]), "spec.parameters[0].enum", "change the type"
    ),
    "a default below the minimum": Wrong(
        parameter(type="integer", default="-1", minimum=0), "spec.parameters[0].default", "raise it"
    ),
    "a default above the maximum": Wrong(
        parameter(type="number", default="7.5", maximum=7), "spec.parameters[0].default", "lower it"
    ),
    "bounds the wrong way round": Wrong(
        parameter(type="integer", minimum=2, maximum=1), "spec.parameters[0].minimum", "exchange them"
    ),
    "bounds of a text": Wrong(parameter(minimum=1), "spec.parameters[0].type", "for integer and number"),
    "a pattern of a number": Wrong(
        parameter(type="integer", pattern="[0-9]"), "spec.parameters[0].pattern", "pattern is for string"
    ),
    "a default that its pattern refuses": Wrong(
        parameter(pattern="[a-z]+", default="a1"), "spec.parameters[0].pattern", "does not match the default"
    ),
    "a broken pattern": Wrong(parameter(pattern="("), "spec.parameters[0]", "no regular expression in RE2 syntax"),
    "a slot that can't give a required value": Wrong(
        parameter(required=True), "spec.parameters", "give each a default, or drop required or the schedule"
    ),
    "no history": Wrong(spec(history={"runs": 0}), "spec.history.runs", "greater than or equal to 1"),
    "a webhook without a host": Wrong(
        spec(alerts={"webhook": {"url": "hooks/1"}}), "spec.alerts.webhook.url", "http:// or https://"
    ),
    "no template": Wrong(spec(template=None), "spec.template", "Required value"),
    "an empty template": Wrong(spec(template={"spec": None}), "spec.template.spec", "Required value"),
    "containers outside the pod's spec": Wrong(
        spec(template={"containers": [CONTAINER]}), "spec.template.containers", "unknown field"
    ),
    "no containers": Wrong(pod(containers=[]), "spec.template.spec.containers", "at least 1 item"),
    "a quantity that is none": Wrong(
        pod(containers=[{**CONTAINER, "resources": {"limits": {"cpu": "lots"}}}]),
        "spec.template.spec.containers[0].resources.limits.cpu",
        "lots",
    ),
    "a container without an image": Wrong(
        pod(containers=[{"name": "job"}]), "spec.template.spec.containers[0].image", "Required value"
    ),
    "two containers of one name": Wrong(
        pod(containers=[CONTAINER, CONTAINER]), "spec.template.spec.containers[1]", "Duplicate value"
    ),
    "attempts inside one pod": Wrong(
        pod(restartPolicy="OnFailure"), "spec.template.spec.restartPolicy", "Leave restartPolicy out or write Never"
    ),
}

# What neither a schema nor a rule can tell: the operator answers these with the condition Ready.
LEFT_TO_THE_OPERATOR = {
    "a time zone that does not exist": spec(timeZone="Europe/Atlantis"),
    "names in a range backwards": spec(schedule="0 0 * * FRI-MON"),
    "a field that pods do not have": pod(containers=[{**CONTAINER, "comand": ["run"]}]),
    "an image with a blank": pod(containers=[{"name": "job", "image": "job 1"}]),
    "a container's name with a blank": pod(containers=[{"name": "a b", "image": "job:1"}]),
    "a volume that nobody declared": pod(
        containers=[{**CONTAINER, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
    ),
}

ACCEPTED = {
    "on demand": spec(schedule=None),
    "on demand with a required value": changed(spec(schedule=None), parameter(required=True)),
    "the longest name": {"metadata": {"name": "a" * 52}},
    "a stable spread": spec(schedule="H(0-29)/10 H 1,15 JAN-mar MON-FRI"),
    "every ninety minutes": spec(schedule="@every 1h30m"),
    "every hour, within two": spec(schedule="@every 1h", startingDeadline="2h"),
    "a word": spec(schedule="@midnight"),
    "a line break after a word": spec(schedule="@midnight\n"),
    "a pause with an offset": spec(pauseUntil="2026-12-01T00:00:00.5+01:00"),
    "no delay before a retry": spec(retry={"backoff": ["0s"]}),
    "a queue in a group": spec(concurrency={"policy": "Queue", "group": "miner", "priority": 5}),
    "numbers": parameter(type="number", default="-1.5e3", minimum=-2000, maximum=0),
    "a pattern": parameter(pattern="[a-z]{2}", default="de", required=True),
    "everything native pods take": pod(
        restartPolicy="Never", volumes=[{"name": "data", "emptyDir": {}}], nodeSelector={"disk": "ssd"}
    ),
}
