"""Conditions: what they keep and how they are found."""

from scheduledtask.domain.conditions import READY, condition, find
from tests.unit.builders import NOON, at

LATER = at("13:00")


class TestACondition:
    BEFORE = condition((), READY, "True", "Scheduled", "Runs.", NOON)

    def test_it_keeps_its_time_while_its_status_stays(self) -> None:
        after = condition((self.BEFORE,), READY, "True", "Suspended", "Does not run.", LATER)
        assert (after.reason, after.last_transition_time) == ("Suspended", NOON)

    def test_it_has_a_new_time_when_its_status_changes(self) -> None:
        assert condition((self.BEFORE,), READY, "False", "Refused", "No.", LATER).last_transition_time == LATER

    def test_it_is_found_by_its_type(self) -> None:
        assert find((self.BEFORE,), READY) == self.BEFORE
        assert find((self.BEFORE,), "Healthy") is None
