"""Who holds the Lease, and who may write."""

from datetime import timedelta

import pytest

from scheduledtask.domain.lease import LEASE_DURATION, RENEW_DEADLINE, Candidate, Lease, Step
from tests.unit.builders import NOON

ME, OTHER = "operator-a", "operator-b"
NOW = 1000.0


def a_lease(holder: str, *, version: str = "7", duration: int = LEASE_DURATION) -> Lease:
    return Lease(holder, duration, NOON - timedelta(hours=1), NOON, 3, version)


def leading(*, since: float = NOW) -> Candidate:
    """A candidate whose last renewal began at `since`."""
    return Candidate(ME).wrote(a_lease(ME), since, since + 0.1)


@pytest.mark.parametrize(
    ("holder", "seen_for", "step"),
    [
        pytest.param(None, 0, Step.WRITE, id="there is none"),
        pytest.param("", 0, Step.WRITE, id="given up"),
        pytest.param(ME, 0, Step.WRITE, id="my own, from an earlier life"),
        pytest.param(OTHER, 0, Step.WAIT, id="another's, just seen"),
        pytest.param(OTHER, LEASE_DURATION, Step.WAIT, id="another's, at the end of its duration"),
        pytest.param(OTHER, LEASE_DURATION + 0.1, Step.WRITE, id="another's, beyond its duration"),
    ],
)
def test_a_candidate_takes_what_is_free_or_has_stood_still(holder: str | None, seen_for: float, step: Step) -> None:
    lease = None if holder is None else a_lease(holder)
    assert Candidate(ME).saw(lease, NOW - seen_for).saw(lease, NOW).step(NOW) is step


def test_before_the_first_look_nothing_is_written() -> None:
    assert Candidate(ME).step(NOW) is Step.WAIT


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"version": "8"}, True, id="only the object around it"),
        pytest.param({"renew_time": NOON + timedelta(seconds=2)}, False, id="a renewal"),
        pytest.param({"renew_time": NOON - timedelta(days=1)}, False, id="a renewal by a clock that went back"),
        pytest.param({"holder": "operator-c"}, False, id="the holder"),
    ],
)
def test_only_a_change_of_the_record_is_a_sign_of_life_whatever_times_it_tells(
    changed: dict[str, object], taken: bool
) -> None:
    before = a_lease(OTHER)
    fields = {name: getattr(before, name) for name in before.__dataclass_fields__}
    candidate = Candidate(ME).saw(before, NOW).saw(Lease(**{**fields, **changed}), NOW + LEASE_DURATION)
    assert (candidate.step(NOW + LEASE_DURATION + 1) is Step.WRITE) is taken


def test_the_duration_is_what_the_holder_promised() -> None:
    candidate = Candidate(ME).saw(a_lease(OTHER, duration=60), NOW)
    assert candidate.step(NOW + 59) is Step.WAIT
    assert candidate.step(NOW + 61) is Step.WRITE
    assert Candidate(ME).saw(a_lease(OTHER, duration=0), NOW).step(NOW + 1) is Step.WAIT


@pytest.mark.parametrize(
    ("after", "leads", "step"),
    [(0.0, True, Step.WRITE), (RENEW_DEADLINE - 0.1, True, Step.WRITE), (RENEW_DEADLINE, False, Step.LOST)],
)
def test_a_leader_may_write_until_the_deadline_counted_from_the_start_of_its_renewal(
    after: float, leads: bool, step: Step
) -> None:
    candidate = leading(since=NOW)
    assert (candidate.leads(NOW + after), candidate.step(NOW + after)) == (leads, step)


@pytest.mark.parametrize("holder", [OTHER, ""])
def test_who_has_led_and_finds_another_or_no_holder_has_lost_for_good(holder: str) -> None:
    candidate = leading(since=NOW).saw(a_lease(holder), NOW + 1)
    assert not candidate.leads(NOW + 1)
    assert candidate.step(NOW + 1) is Step.LOST
    assert candidate.saw(a_lease(""), NOW + 2).step(NOW + 2) is Step.LOST


def test_who_deletes_the_lease_does_not_make_two_leaders() -> None:
    leader = leading(since=NOW).saw(None, NOW + 1)
    assert leader.step(NOW + 1) is Step.WRITE
    assert leader.wanted(NOON).version == "", "it is created anew"
    standby = Candidate(OTHER).saw(a_lease(ME), NOW).saw(None, NOW + 1)
    assert standby.step(NOW + 1) is Step.WAIT
    assert standby.saw(None, NOW + LEASE_DURATION + 1).step(NOW + LEASE_DURATION + 1) is Step.WRITE


class TestRecord:
    """What stands in the Lease is what client-go would write, so that `kubectl get lease` reads well."""

    LATER = NOON + timedelta(seconds=2)

    def test_a_renewal_changes_its_time_alone(self) -> None:
        assert leading().wanted(self.LATER) == Lease(ME, LEASE_DURATION, NOON - timedelta(hours=1), self.LATER, 3, "7")

    def test_a_change_of_the_holder_is_counted_and_dated(self) -> None:
        for known in (a_lease(OTHER), a_lease("")):
            wanted = Candidate(ME).saw(known, NOW).wanted(self.LATER)
            assert wanted == Lease(ME, LEASE_DURATION, self.LATER, self.LATER, 4, "7")
            assert wanted.version == "7", "it is written over what was seen"

    def test_the_first_one_is_created(self) -> None:
        wanted = Candidate(ME).saw(None, NOW).wanted(self.LATER)
        assert wanted == Lease(ME, LEASE_DURATION, self.LATER, self.LATER, 0)
        assert wanted.version == ""

    def test_who_gives_it_up_leaves_it_without_a_holder(self) -> None:
        assert leading().released(self.LATER) == Lease("", 1, self.LATER, self.LATER, 3)
        assert leading().saw(a_lease(OTHER), NOW).released(self.LATER) is None
        assert Candidate(ME).released(self.LATER) is None
