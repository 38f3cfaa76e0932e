"""The memory between runs: what each file said, and the sums over the matches that count.

One SQLite file holds both, and a batch of changed files changes both in one transaction. So the sums always
equal the files as last read, and a run that is killed anywhere leaves a state from which the next one goes
on. Memory stays flat: nothing here grows with the number of matches but the file on disk.

Several files may hold the same match. The one modified last speaks for it (of equals, the one whose path
sorts last): it may be a correction. Who speaks follows from the files alone, never from the order in which
they were read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from match_history.matches import Fingerprint, Reading
from match_history.sums import Sums
from scheduledtask_sdk.failures import PermissionDenied, Unavailable

ALL = "all"
"""The patch under which the sums over all patches stand."""

_FORMAT = 1
_SCHEMA = f"""
CREATE TABLE files (
  path BLOB PRIMARY KEY, size INTEGER, modified INTEGER, change_time INTEGER, inode INTEGER,
  settled INTEGER,     -- 0: changed so recently that a further change might not show in the fingerprint
  match_id TEXT, patch TEXT, winners TEXT, losers TEXT, reason TEXT
) WITHOUT ROWID;
CREATE INDEX files_by_match ON files (match_id) WHERE match_id IS NOT NULL;
CREATE INDEX files_skipped ON files (reason, match_id) WHERE reason IS NOT NULL;
CREATE TABLE pairs (
  kind TEXT, patch TEXT, first TEXT, second TEXT, games INTEGER, wins INTEGER,
  PRIMARY KEY (kind, patch, first, second)
) WITHOUT ROWID;
CREATE TABLE patches (patch TEXT PRIMARY KEY, matches INTEGER) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
PRAGMA user_version = {_FORMAT};
"""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file and what it said when it was read; ``settled`` as in the schema."""

    path: str
    fingerprint: Fingerprint
    settled: bool
    reading: Reading


class Pair(NamedTuple):
    """Games and wins of ``first``: together with ``second`` (synergy), or against it (counter)."""

    first: str
    second: str
    games: int
    wins: int


class Unusable(Exception):  # noqa: N818
    """The file is no state of this program (broken, foreign, or of another format or other rules): begin
    again without it."""


@contextmanager
def opened(path: Path, rules: str) -> Iterator[State]:
    """Open or make the state for itself alone; a broken one, or one made under other rules, is begun again.

    Raises :class:`Unavailable` while another run has it, and where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(_connected(path)) as connection:
            yield State(connection, rules)
    except sqlite3.Error as error:
        raise _failure(error, path) from error


def discard(path: Path) -> None:
    """Remove the state and SQLite's journal of it."""
    for name in (path, path.with_name(path.name + "-journal")):
        name.unlink(missing_ok=True)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=1)
    try:
        # Exclusive: kept to the end of the run, released by the kernel also after a SIGKILL. No temporary
        # files: the root file system may be read-only.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _failure(error: sqlite3.Error, path: Path) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Unusable(str(error))
    if name.startswith("SQLITE_BUSY"):
        return Unavailable(f"another run is working on {path}", path=str(path))
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return Unavailable(f"{path}: {error}", path=str(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return PermissionDenied(f"{path}: {error}; the job's user must be able to write there", path=str(path))
    return error


class State:
    """What is known of the files and the sums over their matches."""

    def __init__(self, connection: sqlite3.Connection, rules: str) -> None:
        self._db = connection
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._db.executescript("BEGIN;" + _SCHEMA + "COMMIT;")
            self.set_fact("rules", rules)
        elif version != _FORMAT:
            raise Unusable(f"format {version}, this program writes {_FORMAT}")
        elif self.fact("rules") != rules:
            raise Unusable("made under other rules")

    def files(self, size: int) -> Iterator[list[ReadFile]]:
        """All known files by path, ``size`` at a time; the caller may apply changes in between."""
        last = b""
        while rows := self._db.execute(
            "SELECT path, size, modified, change_time, inode, settled, match_id, patch, winners, losers, reason"
            " FROM files WHERE path > ? ORDER BY path LIMIT ?",
            (last, size),
        ).fetchall():
            last = rows[-1][0]
            yield [
                ReadFile(os.fsdecode(path), Fingerprint(*fingerprint), bool(settled), _reading(*said))
                for path, *fingerprint, settled, a, b, c, d, e in rows
                for said in [(a, b, c, d, e)]
            ]

    def unknown(self, paths: Sequence[str]) -> list[str]:
        """Those of the paths that have never been read, or were taken out."""
        encoded = [os.fsencode(path) for path in paths]
        marks = ",".join("?" * len(encoded))
        known = {row[0] for row in self._db.execute(f"SELECT path FROM files WHERE path IN ({marks})", encoded)}
        return [path for path, key in zip(paths, encoded, strict=True) if key not in known]

    def apply(self, seen: Sequence[ReadFile], gone: Sequence[str]) -> None:
        """Take over what the files say now, and forget those that are gone, with all that follows for the
        sums: at once."""
        keys = [os.fsencode(path) for path in [*gone, *(file.path for file in seen)]]
        with self._transaction():
            affected = {file.reading.match_id for file in seen} | self._matches_of(keys)
            affected.discard(None)
            before = self._speaking(affected)
            self._db.executemany("DELETE FROM files WHERE path = ?", ((os.fsencode(path),) for path in gone))
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?)", map(_row, seen))
            after = self._speaking(affected)
            changed = [match for match in affected if before.get(match) != after.get(match)]
            if changed:
                self._add([after[m] for m in changed if m in after], sign=1)
                self._add([before[m] for m in changed if m in before], sign=-1)
                self.set_fact("generation", str(self.generation + 1))

    @property
    def generation(self) -> int:
        """Grows with every change of the sums; an index of an older generation is out of date."""
        return int(self.fact("generation") or 0)

    def fact(self, name: str) -> str | None:
        """A remembered text."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_fact(self, name: str, value: str) -> None:
        """Remember a text."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def patches(self) -> dict[str, int]:
        """Matches that count, by patch; the sum stands under :data:`ALL`."""
        return dict(self._db.execute("SELECT patch, matches FROM patches ORDER BY patch"))

    def pairs(self, kind: str, patch: str) -> Iterator[Pair]:
        """The ``synergy`` or ``counter`` sums of a patch, ordered by first and second."""
        rows = self._db.execute(
            "SELECT first, second, games, wins FROM pairs WHERE kind = ? AND patch = ? ORDER BY first, second",
            (kind, patch),
        )
        return map(Pair._make, rows)

    def count_pairs(self, kind: str) -> int:
        """How many pairs there are over all patches."""
        query = "SELECT COUNT(*) FROM pairs WHERE kind = ? AND patch = ?"
        return int(self._db.execute(query, (kind, ALL)).fetchone()[0])

    def count_files(self) -> int:
        """How many files are known, usable or not."""
        return int(self._db.execute("SELECT COUNT(*) FROM files").fetchone()[0])

    def count_excluded(self) -> dict[str, int]:
        """How many files hold a match that does not count, by reason."""
        return dict(
            self._db.execute(
                "SELECT reason, COUNT(*) FROM files WHERE reason IS NOT NULL AND match_id IS NOT NULL GROUP BY reason"
            )
        )

    def count_skipped(self) -> int:
        """How many files say nothing usable."""
        query = "SELECT COUNT(*) FROM files WHERE reason IS NOT NULL AND match_id IS NULL"
        return int(self._db.execute(query).fetchone()[0])

    def skipped(self, limit: int) -> list[tuple[str, str]]:
        """Some of the files that say nothing usable, with the reason."""
        rows = self._db.execute(
            "SELECT path, reason FROM files WHERE reason IS NOT NULL AND match_id IS NULL ORDER BY reason LIMIT ?",
            (limit,),
        )
        return [(os.fsdecode(path), reason) for path, reason in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _matches_of(self, paths: Sequence[bytes]) -> set[str | None]:
        query = "SELECT match_id FROM files WHERE path = ? AND match_id IS NOT NULL"
        return {row[0] for path in paths for row in self._db.execute(query, (path,))}

    def _speaking(self, matches: Iterable[str | None]) -> dict[str | None, Reading]:
        """For each of the matches that counts: what the file that speaks for it says."""
        query = (
            "SELECT match_id, patch, winners, losers, reason FROM files WHERE match_id = ?"
            " ORDER BY modified DESC, path DESC LIMIT 1"
        )
        readings = (
            _reading(*row) for match in matches if (row := self._db.execute(query, (match,)).fetchone()) is not None
        )
        return {reading.match_id: reading for reading in readings if reading.reason is None}

    def _add(self, matches: Iterable[Reading], sign: int) -> None:
        by_patch: dict[str, list[Reading]] = {}
        for match in matches:
            by_patch.setdefault(str(match.patch), []).append(match)
        if not by_patch:
            return
        total = Sums()
        for patch, readings in by_patch.items():
            sums = Sums.of(readings)
            total.update(sums)
            self._add_sums(patch, sums, sign)
        self._add_sums(ALL, total, sign)

    def _add_sums(self, patch: str, sums: Sums, sign: int) -> None:
        self._db.execute(
            "INSERT INTO patches VALUES (?, ?) ON CONFLICT DO UPDATE SET matches = matches + excluded.matches",
            (patch, sign * sums.matches),
        )
        self._db.executemany(
            "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET games = games + excluded.games, wins = wins + excluded.wins",
            (
                (kind, patch, first, second, sign * games, sign * wins)
                for kind, first, second, games, wins in sums.rows()
            ),
        )
        if sign < 0:
            self._db.execute(
                "DELETE FROM pairs WHERE kind IN ('synergy', 'counter') AND patch = ? AND games = 0", (patch,)
            )
            self._db.execute("DELETE FROM patches WHERE matches = 0")


def _reading(match_id: str | None, patch: str | None, winners: str, losers: str, reason: str | None) -> Reading:
    return Reading(match_id, patch, _names(winners), _names(losers), reason)


def _names(joined: str) -> tuple[str, ...]:
    return tuple(joined.split(",")) if joined else ()


def _row(file: ReadFile) -> tuple[object, ...]:
    said, mark = file.reading, file.fingerprint
    return (
        os.fsencode(file.path), mark.size, mark.modified, mark.change_time, mark.inode, int(file.settled),
        said.match_id, said.patch, ",".join(said.winners), ",".join(said.losers), said.reason,
    )  # fmt: skip
