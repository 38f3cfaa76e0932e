"""What a MATCH-V5 document says to the index."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from match_history.matches import (
    ABORTED,
    NOT_FIVE_AGAINST_FIVE,
    OTHER_QUEUE,
    REMAKE,
    SIZE_LIMIT,
    Reading,
    read_document,
    read_file,
)
from tests.unit.match_history.documents import BLUE, RED, put, raw, small
from tests.upstreams import match_v5

ALL_QUEUES: frozenset[int] = frozenset()


def test_a_full_document_of_riots_gives_patch_winners_and_losers() -> None:
    document = match_v5.document("EUW1_7000000001", BLUE, RED, blue_won=False, patch="15.21")
    assert read_document(json.dumps(document).encode()) == Reading("EUW1_7000000001", "15.21", tuple(RED), tuple(BLUE))


def remade() -> bytes:
    document = match_v5.document("EUW1_1", BLUE, RED, blue_won=True, remake=True)
    return json.dumps(document).encode()


def with_players(document: dict[str, object], **fields: object) -> bytes:
    info = document["info"]
    assert isinstance(info, dict)
    info["participants"] = [player | fields for player in info["participants"]]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        pytest.param(remade(), REMAKE, id="remake"),
        pytest.param(raw(endOfGameResult="Abort_TooFewPlayers"), ABORTED, id="a player never came"),
        pytest.param(raw(participants=[]), ABORTED, id="an aborted game keeps no participants"),
        pytest.param(with_players(small(), win=False), ABORTED, id="nobody won"),
        pytest.param(with_players(small(), win=True), ABORTED, id="both won"),
        pytest.param(raw(blue=BLUE[:4]), NOT_FIVE_AGAINST_FIVE, id="four against five"),
        pytest.param(raw(blue=[*BLUE, "Elise"], red=RED[:4]), NOT_FIVE_AGAINST_FIVE, id="six against four"),
        pytest.param(raw(blue=BLUE * 2, red=RED * 2), NOT_FIVE_AGAINST_FIVE, id="arena has more players"),
        pytest.param(raw(queueId=450), OTHER_QUEUE, id="a queue that was not asked for"),
    ],
)
def test_a_sound_document_may_not_count(document: bytes, reason: str) -> None:
    assert read_document(document, frozenset({420})) == Reading("EUW1_1", reason=reason)


def test_abort_unexpected_alone_says_nothing() -> None:
    assert read_document(raw(endOfGameResult="Abort_Unexpected")).reason is None


def test_without_queues_named_every_queue_counts() -> None:
    assert read_document(raw(queueId=450)).reason is None


@pytest.mark.parametrize(("version", "patch"), [("15.20.717.2831", "15.20"), ("9.3", "9.3"), ("16.1.7", "16.1")])
def test_the_patch_is_the_first_two_numbers_of_the_version(version: str, patch: str) -> None:
    assert read_document(raw(version=version)).patch == patch


def test_both_spellings_of_fiddlesticks_are_one_champion() -> None:
    assert read_document(raw(blue=["FiddleSticks", *BLUE[1:]])) == read_document(raw(blue=["Fiddlesticks", *BLUE[1:]]))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "no JSON"),
        (b'{"metadata": {"matchId": "EUW1_1"}, "info"', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"info":' * 100_000, "no JSON: maximum recursion depth"),
        (b"[]", "no MATCH-V5 document: Expected `object`"),
        (b'{"matchId": 1}', "no MATCH-V5 document: Object missing required field `metadata`"),
        (raw(match_id=""), "metadata.matchId"),
        (raw(version="preview"), "info.gameVersion 'preview'"),
        (raw(blue=["", *BLUE[1:]]), "championName ''"),
        (raw(blue=["A,B", *BLUE[1:]]), "championName 'A,B'"),
        (with_players(small(), win="yes"), "$.info.participants[0].win"),
    ],
)
def test_what_is_no_match_document_gives_the_reason(document: bytes, reason: str) -> None:
    reading = read_document(document)
    assert reading.match_id is None
    assert reason in str(reading.reason)


def test_packed_and_plain_files_say_the_same(tmp_path: Path) -> None:
    plain = put(tmp_path / "a.json", raw())
    packed = put(tmp_path / "a.json.gz", gzip.compress(raw()[:100]) + gzip.compress(raw()[100:]))
    assert read_file(plain, ALL_QUEUES)[1] == read_file(packed, ALL_QUEUES)[1] == read_document(raw())  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json.gz", b"no gzip", "broken gzip"),
        ("a.json.gz", gzip.compress(raw())[:-20], "broken gzip"),
        ("a.json.gz", gzip.compress(b" " * (SIZE_LIMIT + 1)), "larger than"),
        ("a.json", b" " * (SIZE_LIMIT + 1), "larger than"),
        ("a.csv", raw(), "neither .json nor .json.gz"),
    ],
    ids=["foreign", "truncated", "a bomb", "too large", "another kind"],
)
def test_a_file_that_cant_be_used_gives_the_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    answer = read_file(put(tmp_path / name, content), ALL_QUEUES)
    assert answer is not None
    assert answer[1].match_id is None
    assert reason in str(answer[1].reason)


def test_what_is_no_file_any_more_is_none(tmp_path: Path) -> None:
    assert read_file(tmp_path / "gone.json", ALL_QUEUES) is None
    assert read_file(tmp_path, ALL_QUEUES) is None


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert read_file(tmp_path / "pipe.json", ALL_QUEUES) is None
