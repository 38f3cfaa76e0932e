"""The command line: ``match-history COMMAND``. Every setting is an option and an environment variable; the
option wins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le, Lt, Predicate

from match_history import history_index, model_registry, patch_meta
from scheduledtask_sdk import Help, Jobs, Run, Secret, Setting, Success
from scheduledtask_sdk.failures import Misconfigured

_EPILOG = """\
Everything lies under one root folder (--root, DATA_ROOT, /data in the image):
  data/processed/                   match documents, read by refresh-history-index
  models/NAME/card.json             model cards, read by refresh-model-registry
  ml_pipeline/history_index.json    written by refresh-history-index
  ml_pipeline/model_registry.json   written by refresh-model-registry
  config/meta.json                  written by refresh-patch-meta

Try it: match-history refresh-model-registry --root ./example
"""

jobs = Jobs("match-history", "The jobs of match_history: one command, one job, run to its end.", epilog=_EPILOG)


def _is_platform(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9]{2,8}", text) is not None


def _is_patch(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}\.\d{1,3}", text) is not None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


Root = Annotated[Path, Setting("DATA_ROOT"), Help("folder that everything lies under")]
Address = Annotated[str, Predicate(_is_address)]
Positive = Annotated[float, Gt(0), Lt(1e9)]
Whole = Annotated[int, Ge(0), Le(999_999_999)]

_DATA = Path("/data")
_ADDRESS = "an address such as https://euw1.api.riotgames.com"
_POSITIVE = "a positive number"


@jobs.command("refresh-history-index", "champion pairs from match files")
def refresh_history_index(
    run: Run,
    root: Root = _DATA,
    queues: Annotated[
        frozenset[Whole],
        Setting("HISTORY_QUEUES"),
        Help("count only these queue ids, such as 420,440; empty: all", wanted="a whole number"),
    ] = frozenset(),
    prior_games: Annotated[
        Positive,
        Setting("HISTORY_PRIOR_GAMES"),
        Help("games that the pull toward one half weighs", wanted=_POSITIVE),
    ] = 20.0,
) -> Success:
    """Read Riot MATCH-V5 documents (*.json, *.json.gz, one match a file) below data/processed/ and write, for all
    patches together and for each one, games and wins of every two champions on one team (synergy) and of every
    champion against every other (counter), with win rates shrunk toward one half.

    Only new and changed files are read; a match whose file is gone or corrected is taken out again; a match in
    several files counts once, as the file modified last says. Files that can't be used are skipped and named.
    Remakes, games that broke off, and modes other than five against five do not count.
    """
    settings = history_index.Settings(
        processed=root / "data" / "processed",
        index=root / "ml_pipeline" / "history_index.json",
        queues=queues,
        prior_games=prior_games,
    )
    return history_index.refresh(settings, run)


@jobs.command("refresh-model-registry", "the models, from their cards")
def refresh_model_registry(root: Root = _DATA) -> Success:
    """Read the model cards models/NAME/ and write the registry. The card is the first of card.json, model_card.json,
    card.yaml, card.yml, model_card.yaml, model_card.yml, model_card.md and README.md (YAML front matter) that is
    there. A model whose card is broken is named and stays listed as broken; it hides no other.
    """
    return model_registry.refresh(root / "models", root / "ml_pipeline" / "model_registry.json")


@jobs.command("refresh-patch-meta", "the current patch and the platform's state")
def refresh_patch_meta(
    run: Run,
    root: Root = _DATA,
    platform: Annotated[
        str,
        Predicate(_is_platform),
        Setting("RIOT_PLATFORM"),
        Help("platform asked about: euw1, na1, kr, …", wanted="a platform such as euw1"),
    ] = "euw1",
    riot_url: Annotated[
        Address,
        Setting("RIOT_BASE_URL"),
        Help("Riot API; empty: https://PLATFORM.api.riotgames.com", wanted=_ADDRESS),
    ] = "",
    data_dragon_url: Annotated[
        Address, Setting("DATA_DRAGON_BASE_URL"), Help("Data Dragon", wanted=_ADDRESS)
    ] = "https://ddragon.leagueoflegends.com",
    fallback: Annotated[
        str,
        Predicate(_is_patch),
        Setting("PATCH_FALLBACK"),
        Help("patch to write when none can be had", wanted="a patch such as 15.20"),
    ] = "15.20",
    timeout: Annotated[
        Positive, Setting("RIOT_TIMEOUT"), Help("seconds that one answer may take", wanted=_POSITIVE)
    ] = 10.0,
    longest_wait: Annotated[
        Positive,
        Setting("RIOT_LONGEST_WAIT"),
        Help("seconds that Retry-After may make it wait", wanted=_POSITIVE),
    ] = 20.0,
    key: Annotated[str, Secret("RIOT_API_KEY"), Help("key for Riot's platform-data; not needed for the patch")] = "",
) -> Success:
    """Write config/meta.json {patch, last_updated, source, platform}. The patch is the newest of Data Dragon's
    version list (source riot_api), else PATCH_FALLBACK (source fallback); the state of the platform comes from
    Riot's platform-data, which needs a key in RIOT_API_KEY. A fault that may pass ends with 75 while attempts are
    left (TASK_FAILED_ATTEMPTS, TASK_MAX_ATTEMPTS), and otherwise with the fallback; a refused key, or an answer
    that makes no sense, writes what is known and ends with 77 or 65. The key is only taken from the environment,
    never shown.
    """
    from match_history.riot import Riot
    from scheduledtask_sdk import http

    if not re.fullmatch(r"[!-~]*", key):
        raise Misconfigured("RIOT_API_KEY holds characters that no key has; copy it again")
    platform = platform.lower()
    settings = patch_meta.Settings(
        meta=root / "config" / "meta.json",
        fallback_patch=fallback,
        platform=platform,
        attempts_left=run.attempts_left > 0,
    )
    base_url = (riot_url or f"https://{platform}.api.riotgames.com").rstrip("/")
    with http.client(timeout=timeout, user_agent="match-history") as client:
        riot = Riot(client, base_url, data_dragon_url.rstrip("/"), key, longest_wait, timeout)
        return patch_meta.refresh(settings, riot)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return jobs.main(arguments)
