"""What differs between two readings of a source, told for a reader.

A paragraph that only moved is no difference: readings are compared as collections of lines, by their keys (see
volatile). The account puts what is gone and what is new where it stood, below the nearest line that stayed, and
shows of a paragraph that was edited the words that were.

::

      # Refunds
    ~ Refunds are granted within [-14-]{+30+} days of purchase.
    - Opened goods are not taken back.
    + Opened goods are taken back at half their price.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from source_monitor.volatile import keys

LONGEST_ACCOUNT = 60_000
"""Characters of an account; what is beyond is counted, not shown."""

_MOST_PAIRS = 40
"""Pairs of a hunk that are looked at for edits, and edits of a change that are shown word by word: each costs time."""
_LONGEST_EDITED = 1500
"""Words of a paragraph whose edit is shown word by word."""
_ALIKE = 0.5
_WORDS_AROUND = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed. ``removed`` and ``added`` are whole lines; words are counted within them where they were edited."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    words_removed: int
    words_added: int
    account: str

    @property
    def words(self) -> int:
        """The size of the change."""
        return self.words_removed + self.words_added


@dataclass(slots=True)
class _Hunk:
    """What is gone and new below one line that stayed; ``context`` is that line, empty at the top."""

    context: str = ""
    removed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)


def compare(
    old: Sequence[str], new: Sequence[str], ignored: Iterable[re.Pattern[str]] = (), additions_only: bool = False
) -> Difference | None:
    """The difference, or None where nothing changed for a reader.

    ``ignored``: lines in which one of these is found don't count. ``additions_only``: lines that are gone are
    not told, nor are they a change, as in a feed, which drops its oldest entries.
    """
    if old == new:
        return None  # by far the most frequent answer, and the cheapest
    patterns = tuple(ignored)
    old_keys, new_keys = keys(old, patterns), keys(new, patterns)
    before, after = Counter(filter(None, old_keys)), Counter(filter(None, new_keys))
    gone, come = before - after, after - before
    if not come and (additions_only or not gone):
        return None
    hunks = _hunks(old, old_keys, gone, new, new_keys, come)
    if additions_only:
        for hunk in hunks:
            hunk.removed = [hunk.removed[number] for number in sorted(_edited(hunk))]
        hunks = [hunk for hunk in hunks if hunk.added]
    told, words_removed, words_added = _told(hunks)
    removed = tuple(line for hunk in hunks for line in hunk.removed)
    added = tuple(line for hunk in hunks for line in hunk.added)
    return Difference(removed, added, words_removed, words_added, _bounded(told))


def _hunks(
    old: Sequence[str], old_keys: Sequence[str], gone: Counter[str],
    new: Sequence[str], new_keys: Sequence[str], come: Counter[str],
) -> list[_Hunk]:  # fmt: skip
    """In the order of the new reading. A line that stayed is named by its key and how often that came before."""
    top = ("", 0)
    hunks = {top: _Hunk()}
    anchor, seen, left = top, Counter[str](), gone.copy()
    lost: dict[tuple[str, int], list[str]] = {}
    for line, key in zip(old, old_keys, strict=True):
        if not key:
            continue
        if left[key] > 0:
            left[key] -= 1
            lost.setdefault(anchor, []).append(line)
        else:
            seen[key] += 1
            anchor = (key, seen[key])
    anchor, seen, left = top, Counter(), come.copy()
    for line, key in zip(new, new_keys, strict=True):
        if not key:
            continue
        if left[key] > 0:
            left[key] -= 1
            hunks[anchor].added.append(line)
        else:
            seen[key] += 1
            anchor = (key, seen[key])
            hunks[anchor] = _Hunk(line)
    for place, lines in lost.items():
        hunks[place].removed.extend(lines)
    return [hunk for hunk in hunks.values() if hunk.removed or hunk.added]


def _told(hunks: Sequence[_Hunk]) -> tuple[list[str], int, int]:
    """The lines of the account, and how many words are gone and new."""
    told: list[str] = []
    words_removed = words_added = 0
    edits_left = _MOST_PAIRS
    for hunk in hunks:
        if told:
            told.append("")
        if hunk.context:
            told.append(f"  {_shortened(hunk.context)}")
        edited = _edited(hunk) if edits_left > 0 else {}
        edits_left -= len(edited)
        partners = set(edited.values())
        for number, line in enumerate(hunk.removed):
            if number in edited:
                shown, minus, plus = _word_by_word(line, hunk.added[edited[number]])
                told.append(f"~ {shown}")
            else:
                minus, plus = len(line.split()), 0
                told.append(f"- {line}")
            words_removed, words_added = words_removed + minus, words_added + plus
        for number, line in enumerate(hunk.added):
            if number not in partners:
                words_added += len(line.split())
                told.append(f"+ {line}")
    return told, words_removed, words_added


def _edited(hunk: _Hunk) -> dict[int, int]:
    """Which removed line became which added one: the likest, each used once."""
    if len(hunk.removed) * len(hunk.added) > _MOST_PAIRS:
        return {}
    found: dict[int, int] = {}
    for number, line in enumerate(hunk.removed):
        likeness = {
            place: _likeness(line, candidate)
            for place, candidate in enumerate(hunk.added)
            if place not in found.values()
        }
        best = max(likeness, key=lambda place: likeness[place], default=None)
        if best is not None and likeness[best] >= _ALIKE:
            found[number] = best
    return found


def _likeness(one: str, other: str) -> float:
    left, right = one.split(), other.split()
    if max(len(left), len(right)) > _LONGEST_EDITED:
        return 0.0
    return SequenceMatcher(None, left, right, autojunk=False).ratio()


def _word_by_word(old: str, new: str) -> tuple[str, int, int]:
    """The edited line with ``[-gone-]`` and ``{+new+}`` words, long runs that stayed cut short, and the counts."""
    left, right = old.split(), new.split()
    edits = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    shown: list[str] = []
    minus = plus = 0
    for number, (kind, start, end, new_start, new_end) in enumerate(edits):
        if kind == "equal":
            shown.append(_kept(left[start:end], first=number == 0, last=number == len(edits) - 1))
            continue
        gone, come = left[start:end], right[new_start:new_end]
        minus, plus = minus + len(gone), plus + len(come)
        shown.append((f"[-{' '.join(gone)}-]" if gone else "") + (f"{{+{' '.join(come)}+}}" if come else ""))
    return " ".join(shown), minus, plus


def _kept(words: Sequence[str], first: bool, last: bool) -> str:
    before = [] if first else words[:_WORDS_AROUND]
    after = [] if last else words[-_WORDS_AROUND:]
    if len(words) <= len(before) + len(after) + 1:
        return " ".join(words)
    return " ".join((*before, "…", *after))


def _shortened(line: str) -> str:
    return line if len(line) <= 120 else f"{line[:119]}…"


def _bounded(told: Sequence[str]) -> str:
    size = 0
    for number, line in enumerate(told):
        size += len(line) + 1
        if size > LONGEST_ACCOUNT:
            shown = [*told[:number], line[: max(0, LONGEST_ACCOUNT - size + len(line))]]
            return "\n".join((*shown, f"… and {len(told) - number} more lines"))
    return "\n".join(told)
