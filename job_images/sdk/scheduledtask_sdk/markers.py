"""What stands beside a type in ``Annotated[…]`` and says where a value comes from.

Without a marker a function's parameter is a parameter of the job: ``--backfill-days 3``, or ``backfill_days`` in the
ScheduledTask's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """Given by this environment variable, or by a flag, which wins. An empty variable is an unset one: that is what
    an optional key of a ConfigMap leaves."""

    variable: str


@dataclass(frozen=True, slots=True)
class Secret:
    """Given by this environment variable alone, and written nowhere. Blanks and line ends around it are dropped."""

    variable: str


@dataclass(frozen=True, slots=True)
class Help:
    """What the value means, and ``wanted``: how a wrong one is told, as in "is not a positive number"."""

    text: str
    wanted: str = ""
