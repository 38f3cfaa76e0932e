"""The sums that the index is made of: for each pair of champions, games and wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations, product

from match_history.matches import Reading


class Sums:
    """Games and wins of some matches. Of a team its *set* of champions counts, and no champion is paired with
    itself."""

    def __init__(self) -> None:
        self.matches = 0
        self._won_together: Counter[tuple[str, str]] = Counter()
        self._lost_together: Counter[tuple[str, str]] = Counter()
        self._beat: Counter[tuple[str, str]] = Counter()

    @classmethod
    def of(cls, matches: Iterable[Reading]) -> Sums:
        """The sums over these matches."""
        sums = cls()
        for match in matches:
            sums.matches += 1
            winners, losers = sorted(set(match.winners)), sorted(set(match.losers))
            sums._won_together.update(combinations(winners, 2))
            sums._lost_together.update(combinations(losers, 2))
            sums._beat.update(pair for pair in product(winners, losers) if pair[0] != pair[1])
        return sums

    def update(self, other: Sums) -> None:
        """Add other sums to these."""
        self.matches += other.matches
        self._won_together.update(other._won_together)
        self._lost_together.update(other._lost_together)
        self._beat.update(other._beat)

    def rows(self) -> Iterator[tuple[str, str, str, int, int]]:
        """What to add to the stored pairs, in their order: kind, first, second, games, wins of the first."""
        for first, second in sorted(self._beat.keys() | {(loser, winner) for winner, loser in self._beat}):
            wins = self._beat[first, second]
            yield "counter", first, second, wins + self._beat[second, first], wins
        for first, second in sorted(self._won_together.keys() | self._lost_together.keys()):
            wins = self._won_together[first, second]
            yield "synergy", first, second, wins + self._lost_together[first, second], wins
