"""Validation rules as the custom resource definition holds them."""

from scheduledtask.api.markers import rule


def test_a_message_without_values_stays_text() -> None:
    assert rule("self > 0", "write 1 or more") == {"rule": "self > 0", "message": "write 1 or more"}


def test_values_in_braces_become_a_message_expression() -> None:
    made = rule("false", '{self} of "{self.name}" is {what}', what="(1 > 0 ? 'a' : 'b')")
    assert made == {
        "rule": "false",
        "messageExpression": "self + ' of \"' + self.name + '\" is ' + (1 > 0 ? 'a' : 'b')",
    }


def test_quotes_and_backslashes_of_a_message_are_escaped() -> None:
    assert rule("false", r"{self} can't be \d")["messageExpression"] == r"self + ' can\'t be \\d'"


def test_the_child_at_fault_is_named_by_its_path() -> None:
    assert rule("false", "mend it", field="policy")["fieldPath"] == ".policy"
