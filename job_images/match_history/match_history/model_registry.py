"""refresh-model-registry: write down which models there are, from their cards, and say what is new and what
is gone.

A model is a folder under ``models/``; hidden ones and ``lost+found`` are none. A model whose card is broken
stays listed, with the reason and with what its last good card said: it is not removed, its card is. If every
card is broken the registry says so and the run fails. The registry is written only when it changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from match_history.files import shown, write_atomically
from match_history.model_cards import BrokenCard, read_card
from scheduledtask_sdk import Success, log
from scheduledtask_sdk.failures import InvalidInput, NotFound

Entries = dict[str, dict[str, object]]
"""The registry's models by name (their folder's)."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How the models differ from those listed before, names in order."""

    new: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def refresh(models: Path, registry: Path) -> Success:
    """Bring the registry up to date.

    Raises :class:`NotFound` without the models' folder, :class:`InvalidInput` when there are models and no card
    can be read.
    """
    try:
        folders = sorted(path for path in models.iterdir() if _is_model(path))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"the folder of the models, {models}, is missing", path=str(models)) from None
    before = _listed(registry)
    now = {shown(folder.name): _entry(folder, (before or {}).get(shown(folder.name), {})) for folder in folders}
    changes = compared(before or {}, now)
    for name, reason in changes.broken.items():
        log.warning("broken model card", model=name, reason=reason)
    if now != before:
        written = {"updated_at": datetime.now(UTC).isoformat(timespec="seconds"), "models": now}
        write_atomically(registry, [json.dumps(written, indent=2, ensure_ascii=False).encode(), b"\n"])
    return _outcome(changes, now, registry, written=now != before)


def compared(before: Entries, now: Entries) -> Changes:
    """What became of the models."""
    return Changes(
        new=[name for name in now if name not in before],
        removed=[name for name in before if name not in now],
        changed=[name for name in now if name in before and before[name] != now[name]],
        broken={name: str(entry["reason"]) for name, entry in now.items() if entry["status"] == "broken"},
    )


def _outcome(changes: Changes, now: Entries, registry: Path, *, written: bool) -> Success:
    message = f"{len(now)} models (+{len(changes.new)} new, -{len(changes.removed)} removed)"
    for title, names in (("new", changes.new), ("removed", changes.removed), ("broken", list(changes.broken))):
        if names:
            message += f"; {title}: {_some(names)}"
    result: dict[str, object] = {
        "models": list(now),
        "new": changes.new,
        "removed": changes.removed,
        "changed": changes.changed,
        "broken": [{"model": name, "reason": reason} for name, reason in changes.broken.items()],
        "output": str(registry),
        "written": written,
    }
    if now and len(changes.broken) == len(now):
        raise InvalidInput(f"no model card can be read: {message}", **result)
    return Success(message, result)


def _some(names: list[str], limit: int = 10) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def _is_model(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and path.name != "lost+found"


def _entry(folder: Path, before: dict[str, object]) -> dict[str, object]:
    try:
        card = read_card(folder)
    except BrokenCard as error:
        last_good = {key: value for key, value in before.items() if key not in ("status", "reason")}
        return {"status": "broken", "reason": str(error), **last_good}
    return {
        "status": "ok",
        "card": f"{shown(folder.name)}/{card.file}",
        "sha256": card.digest,
        "version": card.content.get("version"),
        "description": card.content.get("description"),
        "content": card.content,
    }


def _listed(registry: Path) -> Entries | None:
    """The models listed so far; None without a registry, or with one that nobody can read."""
    try:
        models = json.loads(registry.read_bytes())["models"]
        if all(isinstance(entry, dict) for entry in models.values()):
            return dict(models)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    log.warning("the registry can't be read and is begun again", path=str(registry))
    return None
