"""refresh-patch-meta: write ``config/meta.json``, which tells the current patch and how the platform is.

The patch comes from Data Dragon's version list, since platform-data has none: ``source`` is then
``riot_api``, otherwise the configured patch stands there with ``source: fallback`` and the reason. What
platform-data says stands under ``platform``, or the reason why it is missing. How the
run ends:

- A fault that may pass (timeout, refused, 408, 425, 429, 5xx): with attempts left nothing is written and the
  run fails as retryable; on the last attempt, or run by hand, what is known is written and the run succeeds
  and says so.
- A fault that asking again won't mend (401, 403, 404, garbage): what is known is written, and the run fails
  with the fault's own exit code, so that someone looks.
- Without a key platform-data isn't asked; the patch needs none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from match_history.files import write_atomically
from match_history.riot import Platform, Riot
from scheduledtask_sdk import Success, log
from scheduledtask_sdk.failures import Failure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where meta.json goes, the patch to fall back to, the platform asked about, and whether another attempt
    will come."""

    meta: Path
    fallback_patch: str
    platform: str
    attempts_left: bool


def refresh(settings: Settings, riot: Riot) -> Success:
    """Ask, write, and say how it went. Raises the :class:`Failure` of an upstream as the module says."""
    platform, platform_fault = _asked(riot.platform) if riot.key else (None, None)
    patch, patch_fault = _asked(riot.patch)
    faults = [fault for fault in (platform_fault, patch_fault) if fault is not None]
    lasting = next((fault for fault in faults if not fault.retryable), None)
    if faults and lasting is None and settings.attempts_left:
        raise faults[0]
    meta = _meta(settings, patch, patch_fault, platform, platform_fault)
    write_atomically(settings.meta, [json.dumps(meta, indent=2, ensure_ascii=False).encode(), b"\n"])
    if lasting is not None:
        lasting.context |= {"patch": meta["patch"], "source": meta["source"], "output": str(settings.meta)}
        raise lasting
    return Success(_message(meta), {**meta, "output": str(settings.meta)})


def _asked(question: Callable[[], T]) -> tuple[T | None, Failure | None]:
    try:
        return question(), None
    except Failure as failure:
        log.warning("no answer", kind=type(failure).__name__, reason=failure.message, retryable=failure.retryable)
        return None, failure


def _meta(
    settings: Settings,
    patch: str | None,
    patch_fault: Failure | None,
    platform: Platform | None,
    platform_fault: Failure | None,
) -> dict[str, object]:
    meta: dict[str, object] = {
        "patch": patch or settings.fallback_patch,
        "last_updated": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": "riot_api" if patch else "fallback",
    }
    if patch_fault is not None:
        meta["fallback_reason"] = patch_fault.message
    if platform is not None:
        return meta | {"platform": asdict(platform)}
    reason = platform_fault.message if platform_fault else "not asked: RIOT_API_KEY is not set"
    return meta | {"platform": {"id": settings.platform, "missing": reason}}


def _message(meta: dict[str, object]) -> str:
    message = f"patch {meta['patch']} (source {meta['source']})"
    if "fallback_reason" in meta:
        message += f"; fell back because {meta['fallback_reason']}"
    platform = meta["platform"]
    if isinstance(platform, dict) and "missing" in platform:
        return f"{message}; no platform data: {platform['missing']}"
    if isinstance(platform, dict):
        message += f"; {platform['name']}: {len(platform['maintenances'])} maintenances"
        message += f", {len(platform['incidents'])} incidents"
    return message
