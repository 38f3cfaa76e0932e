"""Two tasks of one group on a real node: their runs never overlap, go by priority and age, and none is lost.

What ran when is read from the pods: by the kubelet's times of their containers, in whole seconds, and by the programs'
own clock.
"""

from concurrent.futures import Future
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.e2e.group_story import PRIORITIES, Story, is_slot
from tests.e2e.programs import time_of

DECISION = timedelta(seconds=5)
"""From the decision whose turn it is to the pod, on a busy machine: who comes meanwhile is not known to it."""


@pytest.fixture(scope="module")
def story(group_story: Future[Story]) -> Story:
    return group_story.result()


def test_never_two_at_the_same_time(story: Story) -> None:
    by_kubelet = sorted(story.attempts, key=lambda attempt: (attempt.started, attempt.finished))
    by_program = sorted(story.attempts, key=lambda attempt: attempt.milliseconds)
    gaps = sorted(after.milliseconds[0] - before.milliseconds[1] for before, after in pairwise(by_program))
    percentiles = {percent: gaps[len(gaps) * percent // 100] / 1000 for percent in (50, 99)}
    wall = (by_program[-1].milliseconds[1] - by_program[0].milliseconds[0]) / 1000
    print(f"{len(story.jobs)} runs, {len(by_program)} attempts in {wall:.0f} s; seconds between two: {percentiles}")

    assert [pair for pair in pairwise(by_kubelet) if pair[1].started < pair[0].finished] == []
    assert [pair for pair in pairwise(by_program) if pair[1].milliseconds[0] <= pair[0].milliseconds[1]] == []


def test_each_run_that_was_asked_for_and_each_slot_has_one_outcome(story: Story) -> None:
    outcomes: dict[str, set[tuple[str, ...]]] = {}
    for task, entry in story.histories:
        if "run" in entry:
            fields = (entry["uid"], entry["outcome"], entry["reason"], entry["endTime"], str(entry["attempts"]))
            outcomes.setdefault(entry["run"], set()).add((task, *fields))

    slots = {name for name, job in story.jobs.items() if is_slot(job)}
    assert set(story.jobs) == set(story.asked) | slots
    assert set(outcomes) == set(story.jobs)
    assert [said for said in outcomes.values() if len(said) != 1] == []
    for run, attempts in story.attempts_by_run.items():
        ((task, uid, outcome, _, _, tried),) = outcomes[run]
        assert (task, uid) == (attempts[0].task, story.jobs[run]["metadata"]["uid"])
        assert outcome == ("Failed" if attempts[-1].exit_code else "Succeeded")
        assert int(tried) == len(attempts)
    assert set(story.attempts_by_run) == set(story.jobs)


def test_no_slot_is_left_out(story: Story) -> None:
    for name in PRIORITIES:
        runs = {entry["slot"] for task, entry in story.histories if task == name and entry["trigger"] == "Schedule"}
        others = {entry["reason"] for _, entry in story.histories if "run" not in entry}
        slots = sorted(time_of(slot) for slot in runs)

        assert slots == [slots[0] + number * timedelta(minutes=1) for number in range(len(slots))]
        assert story.statuses[name]["missedCount"] == 0
        assert others <= {"Suspended"}


def test_the_counters_tell_what_the_pods_did(story: Story) -> None:
    for name, status in story.statuses.items():
        runs = [attempts for attempts in story.attempts_by_run.values() if attempts[0].task == name]
        failed = sum(attempts[-1].exit_code != 0 for attempts in runs)

        assert (status["successCount"], status["failureCount"]) == (len(runs) - failed, failed)
        assert status["retryCount"] == sum(len(attempts) - 1 for attempts in runs)
        assert (status["cancelledCount"], status["activeRuns"]) == (0, 0)


def test_who_goes_first_has_the_highest_sum_of_priority_and_minutes_waited(story: Story) -> None:
    overtaken = 0
    for turn, attempt in enumerate(story.attempts):
        waited = [other for other in story.attempts[turn + 1 :] if other.since < attempt.created - DECISION]
        first = min((other.rank for other in waited), default=attempt.rank)
        assert attempt.rank <= first + timedelta(seconds=1), f"{attempt} before {waited}"
        overtaken += any(other.since < attempt.since for other in waited)

    assert overtaken, "priorities made a difference"
    assert any(len(attempts) > 1 for attempts in story.attempts_by_run.values()), "some were tried again"
