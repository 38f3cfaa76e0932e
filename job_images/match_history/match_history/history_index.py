"""refresh-history-index: keep the index of champion pairs equal to the match files, reading only what
changed.

A run brings the state (``.history_index.sqlite`` beside the index) up to date with the files, batch by batch,
then publishes the index if the sums changed, if it is missing, or if it is not the file that was published
last. Files are found changed by size, times and inode. Only one run works at a time; a second one fails as
retryable.

With nothing to publish (no files, or none usable) the run fails and the last index stays.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from match_history.files import shown, write_atomically
from match_history.index_document import document, patch_order
from match_history.matches import Fingerprint, fingerprint_of, read_file
from match_history.state import ALL, ReadFile, State, Unusable, discard, opened
from scheduledtask_sdk import Run, Success, log
from scheduledtask_sdk.failures import InvalidInput, NotFound

BATCH = 1000
"""Files between two commits: what a killed run loses at most, and what is held in memory."""

_UNSETTLED = 2_000_000_000
"""Nanoseconds. File systems stamp times in ticks (up to 2 s on old ones): a file that changed less than this
before it was read may change again without a trace in its fingerprint, so the next run reads it again."""

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the match files lie, where the index goes, which queues count (none named: all), and the weight
    of the prior."""

    processed: Path
    index: Path
    queues: frozenset[int]
    prior_games: float

    @property
    def state(self) -> Path:
        """The state's file, beside the index so that both are on one volume."""
        return self.index.with_name(f".{self.index.stem}.sqlite")

    @property
    def rules(self) -> str:
        """What a state depends on beyond the files: made under other rules it is begun again."""
        return "queues " + ",".join(map(str, sorted(self.queues)))


@dataclass(slots=True)
class Counts:
    """What a run did with the files."""

    read: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0


def refresh(settings: Settings, run: Run) -> Success:
    """Bring the index up to date.

    Raises :class:`NotFound` without any file, :class:`InvalidInput` when no file holds a match that counts, and
    what :func:`match_history.state.opened` raises.
    """
    if next(_walk(settings.processed), None) is None:
        raise NotFound(
            f"no match files in {settings.processed}; the index is left as it is", path=str(settings.processed)
        )
    try:
        return _refresh(settings, run)
    except Unusable as reason:
        log.warning("the state is begun again", path=str(settings.state), reason=str(reason))
        discard(settings.state)
        return _refresh(settings, run)


def _refresh(settings: Settings, run: Run) -> Success:
    with opened(settings.state, settings.rules) as state:
        with run.held():
            counts = _ingest(state, settings, run)
        result = _result(state, counts)
        if not state.patches():
            raise InvalidInput(
                f"none of the {state.count_files()} files in {settings.processed} holds a match that counts;"
                " the index is left as it is",
                **result,
            )
        written = _publish(state, settings)
        patches = len(state.patches()) - 1
    message = (
        f"{result['matches']} matches in {patches} patches, {result['champion_pairs']} champion pairs"
        f" (files: +{counts.new} new, {counts.changed} changed, -{counts.removed} removed, {result['skipped']} skipped)"
    )
    return Success(message, {**result, "output": str(settings.index), "written": written})


def _ingest(state: State, settings: Settings, run: Run) -> Counts:
    """First what is known (changed or gone), then what is new: one look at each file, and no write where
    nothing changed."""
    counts = Counts()
    for known in state.files(BATCH):
        if run.stop_requested:
            return counts
        _revisit(state, known, settings, counts)
    walk = _walk(settings.processed)
    while (paths := list(islice(walk, BATCH))) and not run.stop_requested:
        _visit(state, state.unknown(paths), settings, counts, run)
    return counts


def _revisit(state: State, known: list[ReadFile], settings: Settings, counts: Counts) -> None:
    seen: list[ReadFile] = []
    gone: list[str] = []
    for file in known:
        if file.settled and _fingerprint(settings.processed / file.path) == file.fingerprint:
            continue
        now = _read(file.path, settings)
        counts.read += now is not None
        if now is None:
            gone.append(file.path)
        elif now != file:
            counts.changed += now.reading != file.reading
            seen.append(now)
            _tell(now, file)
    if seen or gone:
        counts.removed += len(gone)
        state.apply(seen, gone)
        log.info("committed", files_read=counts.read, files_removed=counts.removed)


def _visit(state: State, paths: list[str], settings: Settings, counts: Counts, run: Run) -> None:
    seen: list[ReadFile] = []
    for path in paths:
        if run.stop_requested:
            break
        if (now := _read(path, settings)) is not None:
            seen.append(now)
            _tell(now, None)
    if seen:
        counts.read += len(seen)
        counts.new += len(seen)
        state.apply(seen, ())
        log.info("committed", files_read=counts.read)


def _read(path: str, settings: Settings) -> ReadFile | None:
    now = time.time_ns()
    answer = read_file(settings.processed / path, settings.queues)
    if answer is None:
        return None
    fingerprint, reading = answer
    return ReadFile(path, fingerprint, fingerprint.change_time < now - _UNSETTLED, reading)


def _tell(now: ReadFile, before: ReadFile | None) -> None:
    if now.reading.match_id is None and (before is None or before.reading != now.reading):
        log.warning("skipped", path=shown(now.path), reason=now.reading.reason)


def _fingerprint(path: Path) -> Fingerprint | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return fingerprint_of(status) if stat.S_ISREG(status.st_mode) else None


def _walk(folder: Path, inside: str = "") -> Iterator[str]:
    """Paths of the files below, relative; hidden ones and what is neither file nor folder are none of
    ours."""
    try:
        with os.scandir(folder / inside) as entries:
            folders = []
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(inside + entry.name + "/")
                elif entry.is_file():
                    yield inside + entry.name
    except FileNotFoundError:
        return
    for name in folders:
        yield from _walk(folder, name)


def _result(state: State, counts: Counts) -> dict[str, object]:
    patches = state.patches()
    return {
        "files": {
            "known": state.count_files(),
            "read": counts.read,
            "new": counts.new,
            "changed": counts.changed,
            "removed": counts.removed,
        },
        "matches": patches.get(ALL, 0),
        "patches": sorted((p for p in patches if p != ALL), key=patch_order, reverse=True),
        "champion_pairs": state.count_pairs("synergy"),
        "counter_pairs": state.count_pairs("counter"),
        "not_counted": state.count_excluded(),
        "skipped": state.count_skipped(),
        "skipped_files": [{"path": shown(path), "reason": reason} for path, reason in state.skipped(_LISTED)],
    }


def _publish(state: State, settings: Settings) -> bool:
    """Write the index unless the one that lies there is what would be written."""
    wanted = f"generation {state.generation}, prior {settings.prior_games}, {_stamp(settings.index)}"
    if state.fact("published") == wanted:
        return False
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_atomically(settings.index, document(state, settings.prior_games, now))
    # A run killed before this line publishes again: the same content, once too often.
    state.set_fact(
        "published", f"generation {state.generation}, prior {settings.prior_games}, {_stamp(settings.index)}"
    )
    return True


def _stamp(index: Path) -> str:
    return str(_fingerprint(index))
