"""The history index as a JSON document, made row by row from the sums.

::

    {"generated_at": "…", "matches": 2, "shrinkage": {"toward": 0.5, "games": 20}, "columns": ["games", "wins",
    "win_rate"],
     "all": {"matches": 2, "synergy": {"Ahri": {"Jinx": [2, 2, 0.5455]}}, "counter": {"Ahri": {"Zed": [2, 1, 0.5]}}},
     "patches": {"15.20": {"matches": 2, "synergy": {…}, "counter": {…}}}}

``synergy[A][B]``: games that A and B played on one team, and won; stands once, with A before B in the
alphabet. ``counter[A][B]``: games of A against B, and how many A won; stands in both directions.

The win rate is shrunk toward one half: ``(wins + k/2) / (games + k)``, the mean of a Beta(k/2, k/2) prior
after the games seen. A pair that won its only game thus has 0.5238 with k = 20, not 1.0, and k games weigh as
much as the prior.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from match_history.state import ALL, Pair, State

_encode = msgspec.json.Encoder().encode


def win_rate(games: int, wins: int, prior_games: float) -> float:
    """The shrunk win rate, to four digits."""
    return round((wins + prior_games / 2) / (games + prior_games), 4)


def document(state: State, prior_games: float, generated_at: str) -> Iterator[bytes]:
    """The document in pieces, none larger than the row of one champion."""
    matches = state.patches()
    yield b'{"generated_at":' + _encode(generated_at)
    yield b',"matches":%d,"shrinkage":{"toward":0.5,"games":%s}' % (matches.get(ALL, 0), _encode(prior_games))
    yield b',"columns":["games","wins","win_rate"],"all":'
    yield from _section(state, ALL, matches.get(ALL, 0), prior_games)
    patches = sorted((patch for patch in matches if patch != ALL), key=patch_order)
    for number, patch in enumerate(patches):
        yield (b"," if number else b',"patches":{') + _encode(patch) + b":"
        yield from _section(state, patch, matches[patch], prior_games)
    yield b"}}\n"


def patch_order(patch: str) -> tuple[int, ...]:
    """15.9 comes before 15.10."""
    return tuple(int(part) for part in patch.split("."))


def _section(state: State, patch: str, matches: int, prior_games: float) -> Iterator[bytes]:
    yield b'{"matches":%d' % matches
    for kind in ("synergy", "counter"):
        yield b',"%s":{' % kind.encode()
        for number, (first, pairs) in enumerate(groupby(state.pairs(kind, patch), key=lambda pair: pair.first)):
            yield (b",\n" if number else b"\n") + _encode(first) + b":" + _encode(_cells(pairs, prior_games))
        yield b"}"
    yield b"}"


def _cells(pairs: Iterator[Pair], prior_games: float) -> dict[str, tuple[int, int, float]]:
    return {pair.second: (pair.games, pair.wins, win_rate(pair.games, pair.wins, prior_games)) for pair in pairs}
