"""match_history: made-up match documents and model cards, and a stand-in for Riot's servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.demo.system import Ask, StandIn, System
from tests.upstreams import expected_index, match_v5

MATCHES = 500
INDEX = "ml_pipeline/history_index.json"
KEY = "RGAPI-of-the-stand-in"

_CARDS = {
    "draft-ranker/card.json": json.dumps(
        {"version": "3.1.0", "description": "Ranks drafts by expected win rate", "patch": "15.20"}, indent=2
    ),
    "ban-advisor/card.yaml": "version: 1.4.2\ndescription: Proposes bans against a known opponent\npatch: '15.20'\n",
    "role-guesser/README.md": (
        "---\nversion: 0.9.0\ndescription: Guesses positions from champions and summoner spells\n---\n# role-guesser\n"
    ),
}


def _material(folder: Path) -> str:
    """`MATCHES` documents, with the same times at every call, and three cards, each in another format."""
    processed = folder / "data" / "processed"
    if not processed.exists():
        match_v5.write(processed, MATCHES, seed=1)
    for name, text in _CARDS.items():
        path = folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"the volume holds {MATCHES} made-up MATCH-V5 documents and {len(_CARDS)} model cards"


def _check(read: Callable[[str], bytes], material: Path) -> tuple[list[str], str]:
    wrong = expected_index.differences(json.loads(read(INDEX)), material / "data" / "processed")
    return wrong, "the history index equals an independent computation from the same documents"


MATCH_HISTORY = System(
    folder="match_history",
    asks=((Ask("refresh-history-index"), Ask("refresh-model-registry"), Ask("refresh-patch-meta")),),
    stand_ins=(
        StandIn(
            name="riot-stand-in",
            program="riot.py",
            arguments=("--key", KEY),
            settings={"match-history": {"RIOT_BASE_URL": "{url}", "DATA_DRAGON_BASE_URL": "{url}"}},
            secrets={"riot": {"RIOT_API_KEY": KEY}},
        ),
    ),
    material=_material,
    shown=(INDEX,),
    check=_check,
)
