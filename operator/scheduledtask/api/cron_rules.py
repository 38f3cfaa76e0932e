"""Rules for `spec.schedule`, checked by the API server.

They never refuse what the operator's own parser accepts: what Kubernetes' parser takes (ParseStandard in parser.go of
robfig/cron v3.0.1), and H and more white space besides. Of what it refuses they let a little pass, such as a range of
names that runs backwards; the operator answers that with the condition Ready.
"""

from dataclasses import dataclass

from scheduledtask.api.duration import is_duration
from scheduledtask.api.markers import Rule, raw, rule

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
# Fields are separated as Go's strings.Fields does it: by any white space, Unicode's too.
_FIELD = raw(r"[^\s\v\x{85}\p{Z}]+")
_FIELDS = f"self.findAll({_FIELD})"
_GO_DURATION = raw(r"^\+?(([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+$")
_IS_WORD = "self.trim().startsWith('@')"
_IS_EVERY = f"({_IS_WORD} && {_FIELDS}[0] == '@every')"
_HAS_DELAY = f"({_FIELDS}.size() == 2 && {_FIELDS}[1].matches({_GO_DURATION}))"


@dataclass(frozen=True)
class _Field:
    """A field of a schedule: the numbers (a regular expression) and names that it takes, and how to say so."""

    name: str
    numbers: str
    names: str
    hint: str

    def pattern(self) -> str:
        """A list of `*`, values, ranges and H, each with an optional step."""
        value = f"([+]?0*({self.numbers}){f'|(?i:{self.names})' if self.names else ''})"
        element = f"([*?](-[^,/]*)?|{value}(-{value})?|H([(]{value}-{value}[)])?)(/[+]?0*[1-9][0-9]*)?"
        return f"^,*({element}(,+{element})*,*)?$"


_CRON = (
    _Field("minute", "[0-5]?[0-9]", "", "0-59"),
    _Field("hour", "1?[0-9]|2[0-3]", "", "0-23"),
    _Field("day of month", "[1-9]|[12][0-9]|3[01]", "", "1-31"),
    _Field("month", "[1-9]|1[0-2]", _MONTHS, "1-12 or JAN-DEC"),
    _Field("day of week", "[0-6]", _DAYS, "0-6 (0 is Sunday) or SUN-SAT"),
)


def schedule_rules() -> tuple[Rule, ...]:
    """The rules of a schedule: its time zone elsewhere, a known word or five fields, each within its range."""
    zone, five = "self.contains('TZ')", f"{_FIELDS}.size() == 5"
    upwards = raw("(^|[ ,(])[0-9]{1,6}-[0-9]{1,6}")
    return (
        rule(f"!{zone}", 'the schedule "{self}" holds a time zone: write it in spec.timeZone'),
        rule(
            f"{zone} || !{_IS_WORD} || {_IS_EVERY} || self.trim() in {list(_WORDS)}",
            f'"{{self}}" is no schedule: write {", ".join(_WORDS)}, @every with a duration, or five cron fields',
        ),
        rule(
            f"!{_IS_EVERY} || ({_HAS_DELAY} && duration({_FIELDS}[1]) >= duration('1m'))",
            '"{self}": @every takes a duration of one minute or more, such as @every 90m or @every 1h30m',
        ),
        rule(
            f"{zone} || {_IS_WORD} || {five}",
            'the schedule "{self}" has {count} than five fields: write minute, hour, day of month, month and day of '
            "week, such as 0 3 * * *, or a word such as @hourly",
            count=f"({_FIELDS}.size() < 5 ? 'fewer' : 'more')",
        ),
        *(
            rule(
                f"{zone} || {_IS_WORD} || !({five}) || {_FIELDS}[{index}].matches({raw(field.pattern())})",
                f'{field.name} "{{written}}" in the schedule: write {field.hint}, ranges such as 1-5, lists such as '
                "1,3, steps such as */2, H or *",
                written=f"{_FIELDS}[{index}]",
            )
            for index, field in enumerate(_CRON)
        ),
        rule(
            f"self.findAll({upwards}).all(r, int(r.split('-')[0].find('[0-9]+')) <= int(r.split('-')[1]))",
            'a range in the schedule "{self}" runs backwards: write it in two parts, such as 22-23,0-6 for 22-6',
        ),
    )


def every_rule() -> Rule:
    """The rule of a spec that `@every` and the starting deadline must keep together.

    Kubernetes begins to count at "now less the deadline" each time it looks, and so never gets to a slot that is
    farther away than the deadline (mostRecentScheduleTime in kubernetes/pkg/controller/cronjob/utils.go).
    """
    schedule, deadline = f"self.schedule.findAll({_FIELD})", "self.startingDeadline"
    both = f"has(self.schedule) && has({deadline}) && {is_duration(deadline)}"
    every = f"{schedule}.size() == 2 && {schedule}[0] == '@every' && {schedule}[1].matches({_GO_DURATION})"
    return rule(
        f"!({both} && {every}) || duration({deadline}) >= duration({schedule}[1])",
        'with a starting deadline of {self.startingDeadline}, below its delay, "{self.schedule}" would never start: '
        "raise the deadline, drop it, or write five cron fields",
        field="startingDeadline",
    )
