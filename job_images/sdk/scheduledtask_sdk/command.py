"""A function that is a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduledtask_sdk.options import Option


@dataclass(frozen=True)
class Command:
    """What runs as ``PROGRAM name``."""

    name: str
    summary: str
    function: Callable[..., object]

    @cached_property
    def signature(self) -> tuple[str | None, tuple[Option, ...]]:
        """The name of the parameter that takes the run, and the options; read when asked for first."""
        from scheduledtask_sdk.options import options_of

        return options_of(self.function)

    @property
    def options(self) -> tuple[Option, ...]:
        """What can be given to it."""
        return self.signature[1]
