"""What one file says about one match, in Riot's MATCH-V5 format.

A match counts when five champions won against five others. What does not count, though the document is sound:

- a remake (``gameEndedInEarlySurrender``): a player never came and the game was called off;
- a game without exactly one winning team, and one that ended as ``Abort_…``: it broke off. ``Abort_Unexpected``
  alone says nothing, Riot has given it to games that ended properly (developer-relations issue 939);
- other modes than five against five, and queues that were not asked for.

Champions go by ``championName``: Riot documents that ``championId`` is wrong before patch 11.4. The patch is
the first two numbers of ``gameVersion``.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from match_history.files import naming

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of a document, unpacked; a real one has about 100 kB."""

REMAKE = "remake"
ABORTED = "aborted"
NOT_FIVE_AGAINST_FIVE = "not five against five"
OTHER_QUEUE = "another queue"

_PATCH = re.compile(r"(\d{1,3}\.\d{1,3})(?:\.|$)")
_NAME = re.compile(r"[A-Za-z0-9_'&. -]{1,40}")
_SPELLINGS = {"FiddleSticks": "Fiddlesticks"}  # both occur in Riot's answers, by patch


class _Participant(msgspec.Struct):
    championName: str  # noqa: N815 - Riot's names
    teamId: int  # noqa: N815
    win: bool
    gameEndedInEarlySurrender: bool = False  # noqa: N815


class _Info(msgspec.Struct):
    participants: list[_Participant]
    gameVersion: str  # noqa: N815
    queueId: int = 0  # noqa: N815
    endOfGameResult: str = ""  # noqa: N815


class _Metadata(msgspec.Struct):
    matchId: str  # noqa: N815


class _Document(msgspec.Struct):
    metadata: _Metadata
    info: _Info


_decoder = msgspec.json.Decoder(_Document)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells that a file is still the one that was read, without reading it.

    ``change_time`` (nanoseconds, set by the kernel) sees also a correction that keeps size and modification
    time.
    """

    size: int
    modified: int
    change_time: int
    inode: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says: a match that counts (no reason), one that does not, or nothing usable (no match
    id)."""

    match_id: str | None = None
    patch: str | None = None
    winners: tuple[str, ...] = ()
    losers: tuple[str, ...] = ()
    reason: str | None = None


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """The fingerprint that ``os.stat`` gives."""
    return Fingerprint(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def read_file(path: Path, queues: frozenset[int]) -> tuple[Fingerprint, Reading] | None:
    """Read one file, or None where it has gone meanwhile. Empty ``queues`` mean every queue."""
    try:
        # Without waiting: what is there may be a named pipe by now.
        with naming(path), open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - of a descriptor
            # Of the open file, not of the name: a file put in its place meanwhile is another one.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            return fingerprint_of(status), _read(path.name, file, queues)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except PermissionError:
        return fingerprint_of(path.stat()), Reading(reason="permission to read it is missing")


def _read(name: str, file: BinaryIO, queues: frozenset[int]) -> Reading:
    if not name.endswith((".json", ".json.gz")):
        return Reading(reason="neither .json nor .json.gz")
    raw = file.read(SIZE_LIMIT + 1)
    if name.endswith(".gz"):
        try:
            raw = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(SIZE_LIMIT + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            return Reading(reason=f"broken gzip: {error}")
    if len(raw) > SIZE_LIMIT:
        return Reading(reason=f"larger than {SIZE_LIMIT} bytes")
    return read_document(raw, queues)


def read_document(raw: bytes, queues: frozenset[int] = frozenset()) -> Reading:
    """What a MATCH-V5 document says; a document that is none gives the reason, never an exception."""
    try:
        document = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        return Reading(reason=f"no MATCH-V5 document: {error}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Reading(reason=f"no JSON: {error}")
    match_id, info = document.metadata.matchId, document.info
    if not 0 < len(match_id) <= 64:
        return Reading(reason="no MATCH-V5 document: metadata.matchId has no or more than 64 characters")
    if reason := _why_it_does_not_count(info, queues):
        return Reading(match_id, reason=reason)
    patch = _PATCH.match(info.gameVersion)
    if patch is None:
        return Reading(reason=f"info.gameVersion {info.gameVersion[:40]!r} does not begin like 15.20")
    for player in info.participants:
        if not _NAME.fullmatch(player.championName):
            return Reading(reason=f"championName {player.championName[:40]!r} is not a champion's name")
    return Reading(match_id, patch[1], _champions(info, won=True), _champions(info, won=False))


def _why_it_does_not_count(info: _Info, queues: frozenset[int]) -> str | None:
    if queues and info.queueId not in queues:
        return OTHER_QUEUE
    if any(player.gameEndedInEarlySurrender for player in info.participants):
        return REMAKE
    if info.endOfGameResult.startswith("Abort") and info.endOfGameResult != "Abort_Unexpected":
        return ABORTED
    if not info.participants:
        return ABORTED
    teams = {team: [p.win for p in info.participants if p.teamId == team] for team in (100, 200)}
    if len(info.participants) != 10 or any(len(team) != 5 for team in teams.values()):
        return NOT_FIVE_AGAINST_FIVE
    if {frozenset(team) for team in teams.values()} != {frozenset({True}), frozenset({False})}:
        return ABORTED
    return None


def _champions(info: _Info, *, won: bool) -> tuple[str, ...]:
    return tuple(sorted(_SPELLINGS.get(p.championName, p.championName) for p in info.participants if p.win is won))
