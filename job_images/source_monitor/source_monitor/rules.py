"""What a source may ask for beside the rules that hold for all: how it is read, and which changes are told.

Both are JSON objects with the fields of the classes here; a field left out has its default.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from source_monitor.difference import Difference

RULES_VERSION = 1
"""Counted up whenever the same document would be read as another text, so that nobody is told of that as a change."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error
    return text


def _path(text: str) -> str:
    from lxml import etree  # type: ignore[import-untyped]

    try:
        etree.XPath(text or "/")
    except etree.XPathError as error:
        raise ValueError(f"{text!r} is not an XPath: {error}") from error
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+", text):
        raise ValueError(f"{text!r} is not an e-mail address")
    return text


Pattern = Annotated[str, Field(max_length=500), AfterValidator(_pattern)]
Path = Annotated[str, Field(max_length=500), AfterValidator(_path)]
Address = Annotated[str, Field(max_length=254), AfterValidator(_address)]
Word = Annotated[str, Field(min_length=1, max_length=100)]


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The rules in a JSON object. Raises ValueError that names the field and the mend."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None

    def document(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return self.model_dump(exclude_defaults=True)


class Reading(_Rules):
    """How a source is read."""

    select: Path = ""
    """XPath of what to read, instead of the main part of the page."""
    drop: tuple[Path, ...] = ()
    """XPaths of what to leave out."""
    ignore: tuple[Pattern, ...] = ()
    """Regular expressions; a line in which one is found is not compared."""

    def mark(self, kind: str) -> str:
        """The same for two readings of which one may be compared with the other."""
        said = json.dumps([RULES_VERSION, kind, self.select, self.drop])
        return hashlib.sha256(said.encode()).hexdigest()[:16]


class AlertRules(_Rules):
    """Which changes of a source are told, and to whom. Every change is recorded, told or not."""

    minimum_words: int = Field(default=1, ge=1, le=1_000_000)
    """Gone and new words together that a change must have."""
    any_of: tuple[Word, ...] = ()
    """Words or phrases of which one must stand in what is gone or new."""
    none_of: tuple[Word, ...] = ()
    """Words or phrases of which none may stand there."""
    webhook: bool = True
    email: bool = True
    email_to: tuple[Address, ...] = ()
    """Instead of the recipients that hold for all sources."""

    def reason_against(self, difference: Difference) -> str | None:
        """Why the change is not told, or None where it is."""
        if difference.words < self.minimum_words:
            return f"{difference.words} words changed, told from {self.minimum_words} on"
        changed = "\n".join((*difference.removed, *difference.added))
        if self.any_of and not any(_stands_in(word, changed) for word in self.any_of):
            return "none of the words to tell of"
        for word in self.none_of:
            if _stands_in(word, changed):
                return f"it says {word!r}"
        return None


def _stands_in(words: str, text: str) -> bool:
    """Whether the words stand in the text as whole words, in whatever case."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None
