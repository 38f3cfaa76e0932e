"""After any sequence of changes to the files, with runs in between, the index equals one computed from scratch."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from match_history.history_index import Settings, refresh
from scheduledtask_sdk import Run
from scheduledtask_sdk.failures import InvalidInput, NotFound
from tests.unit.match_history.documents import put, small
from tests.upstreams.expected_index import differences, expected_index

POOL = ("Aatrox", "Ahri", "Ashe", "Bard", "Braum", "Corki", "Darius", "Diana", "Draven", "Ekko", "Elise", "Ezreal")
paths = st.sampled_from(["a.json", "b.json", "c.json.gz", "x/a.json", "x/b.json.gz", "notes.txt"])
teams = st.lists(st.sampled_from(POOL), min_size=5, max_size=5)
documents = st.builds(
    small,
    match_id=st.sampled_from(["EUW1_1", "EUW1_2", "EUW1_3"]),
    blue=teams,
    red=teams,
    blue_won=st.booleans(),
    version=st.sampled_from(["15.19.1.1", "15.20.1.1"]),
    endOfGameResult=st.sampled_from(["GameComplete", "GameComplete", "GameComplete", "Abort_TooFewPlayers"]),
)
write = st.tuples(st.just("write"), paths, documents)
changes = st.one_of(
    write,
    write,
    st.tuples(st.just("break"), paths, st.just({})),
    st.tuples(st.just("remove"), paths, st.just({})),
    st.tuples(st.just("copy"), paths, st.just({})),
    st.tuples(st.just("age"), paths, st.just({})),
)


def apply(processed: Path, kind: str, name: str, document: dict[str, object]) -> None:
    path = processed / name
    if kind == "write":
        text = json.dumps(document).encode()
        put(path, gzip.compress(text) if name.endswith(".gz") else text)
    elif kind == "break":
        put(path, b'{"metadata": {"matchId": ')
    elif path.exists() and kind == "remove":
        path.unlink()
    elif path.exists() and kind == "copy":
        put(path.with_name(f"copy-of-{path.name}"), path.read_bytes())
    elif path.exists() and kind == "age":
        os.utime(path, (1_000, 1_000))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(changes, max_size=5), min_size=1, max_size=5))
def test_the_index_follows_from_the_files_alone(batches: list[list[tuple[str, str, dict[str, object]]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        processed, index = Path(folder) / "processed", Path(folder) / "out" / "history_index.json"
        processed.mkdir()
        job = Settings(processed, index, frozenset(), 20.0)
        for batch in batches:
            for change in batch:
                apply(processed, *change)
            before = index.read_bytes() if index.exists() else None
            try:
                refresh(job, Run())
            except NotFound:
                assert not any(path.is_file() for path in processed.rglob("*"))
            except InvalidInput:
                assert expected_index(processed)["all"]["matches"] == 0
            else:
                assert differences(json.loads(index.read_bytes()), processed) == []
                continue
            assert (index.read_bytes() if index.exists() else None) == before
