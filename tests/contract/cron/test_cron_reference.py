"""The project's schedule parser against the library that Kubernetes uses, built from its Go module.

Both read the same time zone data: the files of the `tzdata` package (ZONEINFO for Go, the zoneinfo search path for
Python). CRON_SEED and CRON_CASES set the seed and the size of the random tables.
"""

import hashlib
import json
import os
import subprocess
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from scheduledtask.domain.cron import ScheduleError, parse
from tests.cluster import gotoolchain
from tests.cluster.paths import cache, locked
from tests.contract.cron.cases import MOMENT, Case, malformed, random_case
from tests.contract.cron.odd_expressions import ODD_EXPRESSIONS

SOURCE = Path(__file__).parent / "reference"
ZONE_FILES = Path(str(files("tzdata"))) / "zoneinfo"
SEED = int(os.environ.get("CRON_SEED", "20260229"))
CASES = int(os.environ.get("CRON_CASES", "6000"))
SLOTS = 5


@pytest.fixture(scope="module", autouse=True)
def shared_zone_files() -> Iterator[None]:
    zoneinfo.reset_tzpath(to=[str(ZONE_FILES)])
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()


@pytest.fixture(scope="module")
def reference() -> Path:
    """The reference program, built once per source and go.sum."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()[:16]
    program = cache() / "cron-reference" / digest
    program.parent.mkdir(parents=True, exist_ok=True)
    with locked("cron-reference"):
        if not program.exists():
            go = gotoolchain.find(print).command
            part = program.with_suffix(".part")
            subprocess.run([go, "build", "-o", str(part), "."], cwd=SOURCE, check=True)
            part.replace(program)
    return program


def reference_answers(program: Path, cases: list[Case], *options: str) -> list[str]:
    lines = "".join(case.line(json.dumps(case.expression)) + "\n" for case in cases)
    environment = {**os.environ, "ZONEINFO": str(ZONE_FILES), "TZ": "UTC"}
    done = subprocess.run(
        [str(program), "-n", str(SLOTS), *options], input=lines, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def own_answer(case: Case) -> str:
    try:
        schedule = parse(case.expression)
    except ScheduleError:
        return "ERR"
    zone, moment = ZoneInfo(case.zone), case.moment
    slots: list[str] = []
    while len(slots) < SLOTS:
        slot = schedule.next_after(moment, zone)
        if slot is None:
            return " ".join([*slots, "never"])
        slots.append(slot.strftime("%Y-%m-%dT%H:%M:%SZ"))
        moment = slot
    return " ".join(slots)


def assert_no_difference(program: Path, cases: list[Case]) -> list[str]:
    """Every answer is the reference's, where "stuck" counts as "never"; returns the answers."""
    answers = reference_answers(program, cases)
    assert len(answers) == len(cases)
    differences = [
        f"{case}\n  robfig/cron: {answer}\n  own parser:  {own}"
        for case, answer in zip(cases, answers, strict=True)
        if (own := own_answer(case)) != answer.replace("stuck", "never")
    ]
    shown = "\n".join(differences[:20])
    assert not differences, f"CRON_SEED={SEED}: {len(differences)} of {len(cases)} differ:\n{shown}"
    return answers


def test_random_schedules_are_due_when_robfig_cron_says(reference: Path) -> None:
    print(f"CRON_SEED={SEED} CRON_CASES={CASES}")
    random = Random(SEED)
    answers = assert_no_difference(reference, [random_case(random) for _ in range(CASES)])
    accepted = sum(answer != "ERR" for answer in answers)
    assert accepted > 0.8 * CASES, "the table is there to compare slots, not errors"


def test_random_malformed_schedules_are_refused_or_taken_as_robfig_cron_does(reference: Path) -> None:
    print(f"CRON_SEED={SEED} CRON_CASES={CASES}")
    random = Random(SEED + 1)
    answers = assert_no_difference(
        reference, [Case(malformed(random), "Europe/Berlin", MOMENT) for _ in range(CASES // 3)]
    )
    refused = answers.count("ERR")
    assert CASES // 6 < refused < CASES // 3, "the table holds both kinds"


def test_every_odd_expression_means_what_it_means_to_robfig_cron(reference: Path) -> None:
    assert_no_difference(reference, [Case(expression, "America/New_York", MOMENT) for expression in ODD_EXPRESSIONS])


def test_every_hour_around_every_kind_of_clock_change_agrees(reference: Path) -> None:
    changes = [
        ("America/Sao_Paulo", datetime(2018, 11, 3, tzinfo=UTC)),  # no midnight
        ("Asia/Beirut", datetime(2024, 3, 30, tzinfo=UTC)),  # no midnight, east of Greenwich
        ("America/Havana", datetime(2024, 11, 2, tzinfo=UTC)),  # two midnights
        ("Australia/Lord_Howe", datetime(2025, 4, 4, tzinfo=UTC)),  # half an hour back
        ("Australia/Lord_Howe", datetime(2025, 10, 3, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 28, tzinfo=UTC)),  # no 30 December
        ("Africa/Casablanca", datetime(2026, 2, 14, tzinfo=UTC)),
        ("America/St_Johns", datetime(2011, 3, 12, tzinfo=UTC)),  # at a minute past midnight
        ("Pacific/Chatham", datetime(2026, 9, 25, tzinfo=UTC)),  # at a quarter to three
        ("Antarctica/Troll", datetime(2026, 3, 28, tzinfo=UTC)),  # two hours at once
        ("America/Nuuk", datetime(2026, 3, 28, tzinfo=UTC)),
        ("Asia/Pyongyang", datetime(2018, 5, 4, tzinfo=UTC)),  # a new offset for good
    ]
    cases = [
        Case(f"{minute} {hour} * * *", zone, start.replace(hour=begin))
        for zone, start in changes
        for hour in (*range(6), 22, 23)
        for minute in ("0", "30", "*/20")
        for begin in (0, 13)
    ]
    assert_no_difference(reference, cases)


@pytest.mark.parametrize("expression", ["0 12 * * 1", "0 0 30,31 * *"])
def test_where_robfig_cron_searches_for_ever_there_is_no_slot(reference: Path, expression: str) -> None:
    """Days that are counted over one that the zone left out: robfig/cron comes back to the day before it."""
    case = Case(expression, "Pacific/Apia", datetime(2011, 12, 28, tzinfo=UTC))
    assert reference_answers(reference, [case], "-patience", "1s") == ["HANG"]
    assert own_answer(case) == "never"


def test_where_robfig_cron_answers_with_the_same_slot_again_there_is_no_further_one(reference: Path) -> None:
    """Clocks were set back at a minute past midnight, and the search begins again at the hour before."""
    case = Case("30 0 * * *", "America/St_Johns", datetime(2010, 11, 6, 12, tzinfo=UTC))
    assert reference_answers(reference, [case]) == ["2010-11-07T03:00:00Z stuck"]
    assert own_answer(case) == "2010-11-07T03:00:00Z never"
