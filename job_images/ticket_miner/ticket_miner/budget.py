"""The bound on what the model may cost, in tokens of input and output together.

A request is only sent when even its dearest outcome fits: that much is reserved, and given back but for what the
answer says was used. A request without an answer may have been billed, so all that was reserved for it counts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """`limit`: tokens that may be used; none for no bound. `used`: tokens that are. `reserved`: those under way."""

    limit: int | None
    used: int = 0
    reserved: int = 0

    def reserve(self, tokens: int) -> bool:
        """Set tokens aside for a request; False, with nothing changed, where they don't fit."""
        if self.limit is not None and self.used + self.reserved + tokens > self.limit:
            return False
        self.reserved += tokens
        return True

    def settle(self, reserved: int, used: int) -> None:
        """Put what a request used in the place of what was reserved for it."""
        self.reserved -= reserved
        self.used += used
