"""refresh-history-index on real files, run after run."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from match_history.history_index import Settings, refresh
from scheduledtask_sdk import Run
from scheduledtask_sdk.failures import InvalidInput, NotFound
from tests.unit.match_history.documents import BLUE, RED, put, raw
from tests.upstreams import match_v5
from tests.upstreams.expected_index import differences


class Indexed:
    """A data folder and the index over it."""

    def __init__(self, root: Path) -> None:
        self.processed = root / "data" / "processed"
        self.settings = Settings(self.processed, root / "ml_pipeline" / "history_index.json", frozenset(), 20.0)

    def refresh(self, settings: Settings | None = None) -> dict[str, Any]:
        return dict(refresh(settings or self.settings, Run()).result)

    def put(self, name: str, content: bytes) -> Path:
        return put(self.processed / name, content)

    def index(self) -> dict[str, Any]:
        return dict(json.loads(self.settings.index.read_bytes()))


@pytest.fixture
def indexed(tmp_path: Path) -> Indexed:
    return Indexed(tmp_path)


def test_one_match_gives_synergies_counters_and_shrunk_win_rates(indexed: Indexed) -> None:
    indexed.put("1.json", raw())
    assert indexed.refresh()["matches"] == 1
    index = indexed.index()
    everything = index["all"]
    assert everything["synergy"]["Aatrox"]["Ahri"] == [1, 1, round(11 / 21, 4)]
    assert everything["synergy"]["Corki"]["Darius"] == [1, 0, round(10 / 21, 4)]
    assert everything["counter"]["Aatrox"]["Corki"] == [1, 1, round(11 / 21, 4)]
    assert everything["counter"]["Corki"]["Aatrox"] == [1, 0, round(10 / 21, 4)]
    assert "Aatrox" not in everything["counter"]["Ahri"]
    assert index["patches"] == {"15.20": everything}


def test_generated_matches_equal_the_independent_computation(indexed: Indexed) -> None:
    match_v5.write(indexed.processed, 300, seed=7)
    result = indexed.refresh()
    assert result["matches"] == 300 - result["not_counted"]["remake"]
    assert result["patches"] == ["15.21", "15.20", "15.19"]
    assert differences(indexed.index(), indexed.processed) == []


def test_the_independent_computation_finds_a_wrong_cell(indexed: Indexed) -> None:
    indexed.put("1.json", raw())
    indexed.refresh()
    index = indexed.index()
    index["all"]["counter"]["Aatrox"]["Corki"][1] = 0
    assert len(differences(index, indexed.processed)) == 1


def test_a_second_run_reads_nothing_and_writes_nothing(indexed: Indexed) -> None:
    put_long_ago(indexed, 3)
    assert indexed.refresh()["written"] is True
    before = indexed.settings.index.stat()
    result = indexed.refresh()
    assert (result["files"]["read"], result["written"]) == (0, False)
    assert indexed.settings.index.stat() == before


def test_only_new_files_are_read(indexed: Indexed) -> None:
    put_long_ago(indexed, 3)
    indexed.refresh()
    indexed.put("later.json", raw(match_id="EUW1_99"))
    assert indexed.refresh()["files"] == {"known": 4, "read": 1, "new": 1, "changed": 0, "removed": 0}


def put_long_ago(indexed: Indexed, count: int) -> None:
    """Files that changed further back than the clock of a file system ticks: their stamps are final."""
    paths = [indexed.put(f"{number}.json", raw(match_id=f"EUW1_{number}")) for number in range(count)]
    status = paths[-1].stat()
    while put(indexed.processed.parent / "clock", b"").stat().st_ctime_ns < status.st_ctime_ns + 2_100_000_000:
        os.sched_yield()


def test_a_correction_of_the_same_size_and_time_is_seen(indexed: Indexed) -> None:
    path = indexed.put("1.json", raw(blue_won=True))
    stamp = path.stat()
    indexed.refresh()
    path.write_bytes(raw(blue_won=False))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stamp.st_size, stamp.st_mtime_ns)
    assert indexed.refresh()["files"]["changed"] == 1
    assert differences(indexed.index(), indexed.processed) == []


def test_a_removed_match_is_taken_out_with_all_its_pairs(indexed: Indexed) -> None:
    indexed.put("1.json", raw(match_id="EUW1_1", blue=["Zoe", *BLUE[1:]], version="15.19.1.1"))
    indexed.put("2.json", raw(match_id="EUW1_2"))
    indexed.refresh()
    (indexed.processed / "1.json").unlink()
    assert indexed.refresh()["files"]["removed"] == 1
    assert b"Zoe" not in indexed.settings.index.read_bytes()
    assert list(indexed.index()["patches"]) == ["15.20"]


def test_a_match_in_two_files_counts_once_and_outlives_either(indexed: Indexed) -> None:
    first, second = indexed.put("a/1.json", raw()), indexed.put("b/1.json.gz", gzip.compress(raw()))
    assert indexed.refresh()["matches"] == 1
    first.unlink()
    assert indexed.refresh()["matches"] == 1
    indexed.put("a/1.json", raw())
    second.unlink()
    assert indexed.refresh()["matches"] == 1


def test_of_two_copies_the_one_modified_last_speaks(indexed: Indexed) -> None:
    old, new = indexed.put("z.json", raw(blue_won=False)), indexed.put("a.json", raw(blue_won=True))
    os.utime(old, (1_000, 1_000))
    indexed.refresh()
    assert indexed.index()["all"]["counter"]["Aatrox"]["Corki"][:2] == [1, 1]
    os.utime(new, (500, 500))
    indexed.refresh()
    assert indexed.index()["all"]["counter"]["Aatrox"]["Corki"][:2] == [1, 0]


def test_broken_and_foreign_files_are_named_and_skipped(indexed: Indexed) -> None:
    indexed.put("good.json", raw())
    indexed.put("broken.json", raw()[:50])
    indexed.put("notes.txt", b"hello")
    indexed.put(".hidden.json", b"")
    result = indexed.refresh()
    assert result["skipped"] == 2
    assert {file["path"] for file in result["skipped_files"]} == {"broken.json", "notes.txt"}
    assert differences(indexed.index(), indexed.processed) == []


def test_a_broken_file_in_place_of_a_good_one_takes_its_match_out(indexed: Indexed) -> None:
    indexed.put("1.json", raw(match_id="EUW1_1"))
    indexed.put("2.json", raw(match_id="EUW1_2"))
    indexed.refresh()
    indexed.put("2.json", b"{")
    assert indexed.refresh()["matches"] == 1
    assert differences(indexed.index(), indexed.processed) == []


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(parents=True)], ids=["missing", "empty"])
def test_without_files_the_run_fails_and_the_index_stays(indexed: Indexed, make: Any) -> None:
    put(indexed.settings.index, b"the last good index")
    make(indexed.processed)
    with pytest.raises(NotFound, match="no match files in"):
        indexed.refresh()
    assert indexed.settings.index.read_bytes() == b"the last good index"


def test_with_nothing_usable_the_run_fails_and_the_index_stays(indexed: Indexed) -> None:
    path = indexed.put("1.json", raw())
    indexed.refresh()
    before = indexed.settings.index.read_bytes()
    path.write_bytes(b"{")
    with pytest.raises(InvalidInput, match="none of the 1 files"):
        indexed.refresh()
    assert indexed.settings.index.read_bytes() == before
    path.write_bytes(raw(blue_won=False))
    indexed.refresh()
    assert differences(indexed.index(), indexed.processed) == []


@pytest.mark.parametrize("content", [None, b"", b"not the index"], ids=["gone", "emptied", "overwritten"])
def test_a_damaged_index_is_published_again(indexed: Indexed, content: bytes | None) -> None:
    indexed.put("1.json", raw())
    indexed.refresh()
    indexed.settings.index.unlink()
    if content is not None:
        indexed.settings.index.write_bytes(content)
    assert indexed.refresh()["written"] is True
    assert differences(indexed.index(), indexed.processed) == []


def damage(state: Path) -> None:
    raw_state = bytearray(state.read_bytes())
    raw_state[4096:20480] = b"\x5a" * 16384
    state.write_bytes(raw_state)


def other_format(state: Path) -> None:
    with sqlite3.connect(state) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda state: state.write_bytes(b"no database" * 500), damage, other_format]
)
def test_a_state_that_is_lost_or_broken_is_made_anew(indexed: Indexed, harm: Any) -> None:
    match_v5.write(indexed.processed, 40, seed=3)
    indexed.refresh()
    harm(indexed.settings.state)
    assert indexed.refresh()["files"]["new"] == 40
    assert differences(indexed.index(), indexed.processed) == []


def test_other_queues_are_other_rules_and_begin_anew(indexed: Indexed) -> None:
    indexed.put("ranked.json", raw(match_id="EUW1_1", queueId=420))
    indexed.put("aram.json", raw(match_id="EUW1_2", queueId=450))
    assert indexed.refresh()["matches"] == 2
    ranked = Settings(indexed.processed, indexed.settings.index, frozenset({420}), 20.0)
    assert indexed.refresh(ranked)["matches"] == 1
    assert indexed.index()["matches"] == 1


def test_another_prior_is_applied_without_reading_again(indexed: Indexed) -> None:
    put_long_ago(indexed, 1)
    indexed.refresh()
    stronger = Settings(indexed.processed, indexed.settings.index, frozenset(), 100.0)
    assert indexed.refresh(stronger)["files"]["read"] == 0
    assert indexed.index()["all"]["synergy"]["Aatrox"]["Ahri"] == [1, 1, round(51 / 101, 4)]


def test_a_file_name_that_is_no_text_is_read_like_any_other(indexed: Indexed) -> None:
    indexed.put(os.fsdecode(b"caf\xe9.json"), raw())
    indexed.put(os.fsdecode(b"br\xf6ken.json"), b"{")
    result = indexed.refresh()
    assert result["matches"] == 1
    assert result["skipped_files"][0]["path"] == r"br\udcf6ken.json"


def test_a_folder_in_place_of_a_file_is_walked_into(indexed: Indexed) -> None:
    path = indexed.put("a.json", raw(match_id="EUW1_1"))
    indexed.refresh()
    path.unlink()
    indexed.put("a.json/b.json", raw(match_id="EUW1_2", blue=RED, red=BLUE))
    assert indexed.refresh()["matches"] == 1
    assert differences(indexed.index(), indexed.processed) == []
