"""Rules for one entry of `spec.parameters`, checked by the API server: what it declares must not contradict itself.

Runs are checked against the declaration by the operator; a declaration that no value can satisfy is refused here.
"""

from scheduledtask.api.markers import Rule, raw, rule

_INTEGER = raw("^[+-]?[0-9]{1,18}$")
_NUMBER = raw("^[+-]?[0-9]{1,18}([.][0-9]{1,18})?([eE][+-]?[0-9]{1,2})?$")
_WHOLE = "'^(?:' + self.pattern + ')$'"
_NUMERIC = "self.type in ['integer', 'number']"


def _of_type(value: str) -> str:
    return (
        f"(self.type == 'integer' ? {value}.matches({_INTEGER}) : self.type == 'number' ? {value}.matches({_NUMBER})"
        f" : self.type == 'boolean' ? {value} in ['true', 'false'] : true)"
    )


def _bounds(comparison: str, bound: str) -> str:
    """Whether the default keeps a bound; a default of another type is another rule's to tell."""
    comparable = f"{_NUMERIC} && has(self.default) && has(self.{bound}) && self.default.matches({_NUMBER})"
    return f"!({comparable}) || double(self.default) {comparison} double(self.{bound})"


def parameter_rules() -> tuple[Rule, ...]:
    """The rules of a parameter, each named in the message by the parameter's own name."""
    return (
        rule(
            f"!has(self.default) || {_of_type('self.default')}",
            'the default "{self.default}" of parameter {self.name} is not of type {self.type}: write one that is, or '
            "change the type",
            field="default",
        ),
        rule(
            f"!has(self.enum) || self.enum.all(value, {_of_type('value')})",
            "a value in the enum of parameter {self.name} is not of type {self.type}: mend it or change the type",
            field="enum",
        ),
        rule(
            "!has(self.enum) || !has(self.default) || self.default in self.enum",
            'the default "{self.default}" of parameter {self.name} is not in its enum: add it there or choose another',
            field="default",
        ),
        rule(
            _bounds(">=", "minimum"),
            'the default "{self.default}" of parameter {self.name} is below its minimum: raise it',
            field="default",
        ),
        rule(
            _bounds("<=", "maximum"),
            'the default "{self.default}" of parameter {self.name} is above its maximum: lower it',
            field="default",
        ),
        rule(
            "!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum",
            "the minimum of parameter {self.name} is above its maximum: exchange them",
            field="minimum",
        ),
        rule(
            f"{_NUMERIC} || !(has(self.minimum) || has(self.maximum))",
            "parameter {self.name} has type {self.type}, and minimum and maximum are for integer and number: drop them "
            "or change the type",
            field="type",
        ),
        rule(
            "self.type == 'string' || !has(self.pattern)",
            "parameter {self.name} has type {self.type}, and pattern is for string: drop it or change the type",
            field="pattern",
        ),
        # An expression that does not compile is an error of the rule: it refuses the object too, and shows the message
        # only where that holds no values.
        rule(
            "!has(self.pattern) || self.type != 'string'"
            f" || (has(self.default) ? self.default.matches({_WHOLE}) : ''.matches({_WHOLE}) in [true, false])",
            "the pattern does not match the default, or is no regular expression in RE2 syntax: mend it",
            field="pattern",
        ),
    )
