"""What the demo prints: steps with the time they came at, and what the user would see."""

from __future__ import annotations

import time

_STARTED = time.monotonic()


def elapsed() -> float:
    """Seconds since the demo started."""
    return time.monotonic() - _STARTED


def step(text: str) -> None:
    """One line of progress."""
    print(f"{elapsed():6.1f} s  {text}", flush=True)


def show(command: str, output: str, lines: int | None = None) -> None:
    """A command as a user would type it, and its output, or only the first `lines` of it."""
    printed = output.rstrip().splitlines()
    kept = printed[:lines]
    print(f"\n$ {command}")
    print("\n".join(kept), flush=True)
    if len(kept) < len(printed):
        print(f"… and {len(printed) - len(kept)} more lines", flush=True)
