"""Rules for single fields and parts of `ScheduledTask.spec`, checked by the API server."""

from scheduledtask.api.cron_rules import every_rule
from scheduledtask.api.duration import is_duration
from scheduledtask.api.markers import raw, rule, rules

PARAMETER_NAME = r"^[a-z][a-z0-9_]*$"
URL = r"^https?://[^\s/]+\S*$"
TIME_ZONE = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
_RFC_3339 = f"^{_DATE}T{_CLOCK}:[0-5][0-9]([.][0-9]{{1,9}})?(Z|[+-]{_CLOCK})$"
_BOTH_TIMEOUTS = f"has(self.run) && has(self.attempt) && {is_duration('self.run')} && {is_duration('self.attempt')}"

OF_PARAMETER_NAME = rules(
    rule(
        f"self.matches({raw(PARAMETER_NAME)})",
        '"{self}" is no name of a parameter: write lower-case letters, digits and _, such as backfill_days',
    )
)

OF_URL = rules(
    rule(f"self.matches({raw(URL)})", '"{self}" is no address: write one with http:// or https:// and a host')
)

# Whether a zone of that name exists only the operator can tell.
OF_TIME_ZONE = rules(
    rule(
        f"self.matches({raw(TIME_ZONE)}) && self.lowerAscii() != 'local'",
        '"{self}" is no time zone: write the IANA name of one, such as Europe/Berlin or Etc/UTC',
    )
)

# The second half meets a day that its month does not have: an error in a rule refuses like a rule that is not kept.
OF_TIME = rules(
    rule(
        f"self.matches({raw(_RFC_3339)}) && timestamp(self).getFullYear() > 0",
        "write a time in RFC 3339 with its zone, such as 2026-12-01T00:00:00Z",
    )
)

OF_CONCURRENCY = rules(
    rule(
        "!has(self.group) || self.policy != 'Allow'",
        'runs in group "{self.group}" never overlap, which policy Allow asks for: write Queue, Forbid or Replace, or '
        "drop the group",
        field="policy",
    )
)

OF_TIMEOUTS = rules(
    rule(
        f"!({_BOTH_TIMEOUTS}) || duration(self.attempt) <= duration(self.run)",
        "one attempt may take {self.attempt}, longer than the whole run with {self.run}: lower attempt or raise run",
        field="attempt",
    )
)

OF_SPEC = rules(
    rule(
        "!has(self.schedule) || !has(self.parameters) || self.parameters.all(p, !p.required || has(p.default))",
        "a slot of the schedule gives no value to a required parameter: give each a default, or drop required or the "
        "schedule",
        field="parameters",
    ),
    every_rule(),
)
