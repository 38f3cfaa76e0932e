"""The history index computed a second time, by other means, to check the first against.

Everything is read anew, held in memory and counted player by player with the standard library alone; nothing is
shared with ``match_history``. ``python -m tests.upstreams.expected_index --processed DIR --index FILE`` says
whether an index is right (exit code 0) or where it differs (1). The rules are those of ``match-history
refresh-history-index --help``: the file modified last speaks for its match; remakes, games without exactly one
winner and other modes don't count.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any


def expected_index(processed: Path) -> dict[str, Any]:
    """``{"all": section, "patches": {patch: section}}`` with ``{"matches", "synergy", "counter"}`` of ``[games,
    wins]``."""
    everything = _section()
    patches: dict[str, dict[str, Any]] = {}
    for info in _speaking(processed).values():
        if not _counts(info):
            continue
        version = str(info["gameVersion"]).split(".")
        for section in (everything, patches.setdefault(f"{version[0]}.{version[1]}", _section())):
            section["matches"] += 1
            _add(section, info["participants"])
    return {"all": everything, "patches": patches}


def differences(index: dict[str, Any], processed: Path) -> list[str]:
    """Where an index differs from the expected one, win rates included; empty when it is right."""
    expected = expected_index(processed)
    found: list[str] = []
    prior = Fraction(str(index["shrinkage"]["games"]))
    if index["matches"] != expected["all"]["matches"]:
        found.append(f"matches: {index['matches']}, expected {expected['all']['matches']}")
    if set(index["patches"]) != set(expected["patches"]):
        found.append(f"patches: {sorted(index['patches'])}, expected {sorted(expected['patches'])}")
        return found
    found += _compare("all", index["all"], expected["all"], prior)
    for patch, section in expected["patches"].items():
        found += _compare(patch, index["patches"][patch], section, prior)
    return found


def _compare(where: str, section: dict[str, Any], expected: dict[str, Any], prior: Fraction) -> list[str]:
    found = []
    if section["matches"] != expected["matches"]:
        found.append(f"{where}: {section['matches']} matches, expected {expected['matches']}")
    for kind in ("synergy", "counter"):
        got = {(a, b): cell for a, row in section[kind].items() for b, cell in row.items()}
        for pair in sorted(got.keys() | expected[kind].keys()):
            sums = expected[kind].get(pair)
            rate = sums and float((sums[1] + prior / 2) / (sums[0] + prior))
            cell = got.get(pair)
            if sums is None or cell is None or cell[:2] != sums or abs(cell[2] - rate) > 0.000051:
                found.append(f"{where} {kind} {pair}: {cell}, expected {sums} and {rate}")
    return found


def _section() -> dict[str, Any]:
    return {"matches": 0, "synergy": {}, "counter": {}}


def _add(section: dict[str, Any], players: list[dict[str, Any]]) -> None:
    """For each player's champion, once a team: every champion beside it and every other one on the far side."""
    sides = {(_name(player), player["teamId"]): player["win"] for player in players}
    for (name, team), won in sides.items():
        for other, other_team in sides:
            if other == name:
                continue
            if team != other_team:
                kind = "counter"
            elif name < other:
                kind = "synergy"
            else:
                continue
            cell = section[kind].setdefault((name, other), [0, 0])
            cell[0] += 1
            cell[1] += won


def _name(player: dict[str, Any]) -> str:
    name = str(player["championName"])
    return "Fiddlesticks" if name == "FiddleSticks" else name


def _speaking(processed: Path) -> dict[str, dict[str, Any]]:
    """The info of every match, from the file modified last; of equally old ones from the last by path."""
    latest: dict[str, tuple[tuple[int, str], dict[str, Any]]] = {}
    for path in processed.rglob("*"):
        relative = path.relative_to(processed)
        if any(part.startswith(".") for part in relative.parts) or not path.is_file():
            continue
        document = _load(path)
        if document is None:
            continue
        age = (path.stat().st_mtime_ns, relative.as_posix())
        match_id = document["metadata"]["matchId"]
        if match_id not in latest or latest[match_id][0] < age:
            latest[match_id] = (age, document["info"])
    return {match_id: info for match_id, (_, info) in latest.items()}


def _load(path: Path) -> dict[str, Any] | None:
    try:
        if path.name.endswith(".json.gz"):
            document = json.loads(gzip.decompress(path.read_bytes()))
        elif path.name.endswith(".json"):
            document = json.loads(path.read_bytes())
        else:
            return None
        sound = document["metadata"]["matchId"] and isinstance(document["info"]["participants"], list)
        sound = sound and isinstance(document["info"]["gameVersion"], str)
        sound = sound and all({"championName", "teamId", "win"} <= set(p) for p in document["info"]["participants"])
        return document if sound else None
    except (ValueError, KeyError, TypeError, EOFError, zlib.error, gzip.BadGzipFile):
        return None


def _counts(info: dict[str, Any]) -> bool:
    players = info["participants"]
    if any(player.get("gameEndedInEarlySurrender") for player in players):
        return False
    result = info.get("endOfGameResult", "")
    if result.startswith("Abort") and result != "Abort_Unexpected":
        return False
    blue = [player["win"] for player in players if player["teamId"] == 100]
    red = [player["win"] for player in players if player["teamId"] == 200]
    return (len(players), len(blue), len(red)) == (10, 5, 5) and {sum(blue), sum(red)} == {0, 5}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Check a history index against an independent computation.")
    parser.add_argument("--processed", type=Path, required=True, help="the folder of the match files")
    parser.add_argument("--index", type=Path, required=True, help="the history_index.json to check")
    options = parser.parse_args()
    wrong = differences(json.loads(options.index.read_bytes()), options.processed)
    print("\n".join(wrong[:20]) or "the index equals the independent computation")
    sys.exit(1 if wrong else 0)
