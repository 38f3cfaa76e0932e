"""Model cards: what a folder ``models/<name>/`` says about its model.

The first of :data:`CARD_NAMES` that exists is the card: what a program wrote wins over what a person wrote. A
Markdown file is a card by its YAML front matter; one without is broken. A card is a mapping of any shape;
``version`` and ``description`` are shown where present.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from match_history.files import naming

CARD_NAMES = (
    "card.json",
    "model_card.json",
    "card.yaml",
    "card.yml",
    "model_card.yaml",
    "model_card.yml",
    "model_card.md",
    "README.md",
)
SIZE_LIMIT = 1024 * 1024
"""Bytes of a card."""


class BrokenCard(ValueError):  # noqa: N818
    """The card can't be read; the message says why and names the file."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as read: the file's name, a digest of its bytes, and what it says in types that JSON has."""

    file: str
    digest: str
    content: dict[str, object]


def read_card(folder: Path) -> Card:
    """Read the card of one model's folder. Raises :class:`BrokenCard`."""
    name = next((name for name in CARD_NAMES if (folder / name).is_file()), None)
    if name is None:
        raise BrokenCard(f"no card; expected one of {', '.join(CARD_NAMES)}")
    try:
        with naming(folder / name), (folder / name).open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except PermissionError:
        raise BrokenCard(f"{name}: permission to read it is missing") from None
    if len(raw) > SIZE_LIMIT:
        raise BrokenCard(f"{name}: larger than {SIZE_LIMIT} bytes")
    try:
        content = _plain(_parsed(name, raw.decode("utf-8-sig")))
    except (ValueError, yaml.YAMLError) as error:
        raise BrokenCard(f"{name}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BrokenCard(f"{name}: nested too deeply") from None
    if not isinstance(content, dict):
        raise BrokenCard(f"{name}: a card is a mapping, this is {'empty' if content is None else 'something else'}")
    return Card(name, hashlib.sha256(raw).hexdigest(), content)


def _parsed(name: str, text: str) -> object:
    if name.endswith(".json"):
        return json.loads(text)
    if name.endswith(".md"):
        text = _front_matter(text)
    return yaml.load(text, _Loader)


def _front_matter(text: str) -> str:
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "---":
        raise ValueError("no YAML front matter; the first line must be ---")
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() in ("---", "..."):
            return "\n".join(lines[1:number])
    raise ValueError("the YAML front matter has no end; close it with a line ---")


class _Loader(yaml.SafeLoader):
    """Without aliases: a few lines of them unfold into gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        return super().compose_node(parent, index)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | set | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        raise ValueError("binary values are not read")
    return value
