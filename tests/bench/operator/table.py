"""The table: a line each as soon as it is known, with the load of the machine when it was measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence


class Table:
    """Prints to standard output; what goes on meanwhile is told on standard error."""

    def head(self, title: str) -> None:
        """Begin a part."""
        print(f"\n{title}\n{'measure':<58}{'value':>24}  {'aim':<14}{'load':>5}", flush=True)

    def row(self, measure: str, value: str, aim: str = "") -> None:
        print(f"{measure:<58}{value:>24}  {aim:<14}{os.getloadavg()[0]:>5.1f}", flush=True)

    def requests(self, measure: str, counts: Mapping[str, int], runs: int = 0, aim: str = "") -> None:
        """A line for each verb and resource: how many, or how many a run."""
        self.row(measure, "none" if not counts else f"{sum(counts.values())} in all", aim)
        for what, number in sorted(counts.items(), key=lambda entry: -entry[1]):
            self.row(f"    {what}", f"{number / runs:.2f} a run" if runs else str(number))


def say(text: str) -> None:
    """Tell what is going on."""
    print(f"… {text}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
