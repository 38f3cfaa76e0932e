"""Small match documents: only the fields that the index reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

BLUE = ("Aatrox", "Ahri", "Ashe", "Bard", "Braum")
RED = ("Corki", "Darius", "Diana", "Draven", "Ekko")


def small(
    match_id: str = "EUW1_1",
    blue: Sequence[str] = BLUE,
    red: Sequence[str] = RED,
    blue_won: bool = True,
    version: str = "15.20.717.2831",
    **info: object,
) -> dict[str, object]:
    """A match that counts, or with other ``info`` one that does not."""
    players = [{"championName": name, "teamId": 100, "win": blue_won} for name in blue]
    players += [{"championName": name, "teamId": 200, "win": not blue_won} for name in red]
    return {
        "metadata": {"dataVersion": "2", "matchId": match_id, "participants": []},
        "info": {"gameVersion": version, "queueId": 420, "participants": players, **info},
    }


def raw(**changes: object) -> bytes:
    """The bytes of :func:`small`."""
    return json.dumps(small(**changes)).encode()  # type: ignore[arg-type]


def put(path: Path, content: bytes) -> Path:
    """Write a file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
