"""What of a line counts when two readings of a page are compared.

A page that says when it was made, how often it was seen or whose advert it carries has not changed when only that
is different. Each line has a *key*; lines with one key are the same line. A key is empty where the line says
nothing but such things, and leaves out what is of the moment inside a longer line.

Dates that bind ("effective from 1 May 2026", "applications until …") are content. So a date goes only where nothing
but words such as "updated" or "printed" stands beside it, or where it carries seconds, as only machines write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MONTH = (
    r"(?:jan(?:uary|uar|vier|\.)?|feb(?:ruary|ruar|\.)?|f[ée]vr(?:ier|\.)|mar(?:ch|s|\.)?|m[äa]rz|apr(?:il|\.)?|avril|"
    r"ma[iy]|june?|juni|juin|july?|juli|juillet|aug(?:ust|\.)?|ao[uû]t|sept?(?:ember|embre|\.)?|o[ck]t(?:ober|obre|\.)?|"
    r"nov(?:ember|embre|\.)?|de[cz](?:ember|\.)?|d[ée]cembre)"
)
_WEEKDAY = (
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|"
    r"montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)"
)
_DATE = (
    rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})|"
    rf"\d{{1,2}}(?:st|nd|rd|th|er|\.)?\s+(?:of\s+)?{_MONTH},?\s+\d{{4}}|"
    rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"
)
_CLOCK = r"(?:\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[ap]\.?m\b\.?)?)"
_SECONDS = r"(?:\d{1,2}:\d{2}:\d{2}(?:\.\d+)?(?:\s?[ap]\.?m\b\.?)?)"
_ZONE = r"(?:\s?(?:utc|gmt|cest|cet|bst|[ecmp][sd]t|z\b|uhr)?\s?(?:[+-]\d{2}:?\d{2})?)"
_UNIT = (
    r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|"
    r"sekunden?|minuten?|stunden?|tage?n?|wochen?|monate?n?|jahre?n?|secondes?|heures?|jours?|semaines?|mois|ans?)"
)
_AGO = rf"(?:(?:an?|one|\d+)\s+{_UNIT}\s+ago|vor\s+(?:einer|einem|\d+)\s+{_UNIT}|il y a\s+(?:une?|\d+)\s+{_UNIT})"

_MACHINE_TIME = re.compile(
    rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}t\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:z|[+-]\d{{2}}:?\d{{2}})?|"
    rf"(?:{_WEEKDAY},?\s+)?{_DATE},?\s+(?:at\s+|um\s+|[àa]\s+|[-–]\s+)?{_SECONDS}{_ZONE}|{_AGO})(?!\w)"
)
_IDENTIFIER = re.compile(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{16,})\b"
)
_MOMENT = re.compile(
    rf"\b(?:{_WEEKDAY},?\s+)?{_DATE}(?:,?\s+(?:at\s+|um\s+|[àa]\s+|[-–]\s+)?{_CLOCK}{_ZONE})?(?!\w)|\b{_CLOCK}{_ZONE}(?!\w)|"
    rf"\b{_AGO}(?!\w)|\b(?:just now|today|yesterday|heute|gestern|aujourd'hui|hier)\b|\b{_WEEKDAY}\b(?=\W*$)"
)
_DAY = re.compile(rf"{_DATE}|{_AGO}")
_WORD = re.compile(r"[^\W\d_]+")
_MADE_WORDS = frozenset((
    "last", "latest", "updated", "update", "modified", "modification", "changed", "edited", "reviewed",
    "generated", "rendered", "refreshed", "retrieved", "printed", "published", "posted", "checked", "synced",
    "cached", "as", "of", "on", "at", "by", "the", "this", "page", "document", "site", "content", "was", "is",
    "date", "time", "current", "currently", "now", "local", "server", "and", "it", "letzte", "letzter", "zuletzt",
    "aktualisiert", "aktualisierung", "geändert", "änderung", "stand", "am", "um", "vom", "erstellt", "abgerufen",
    "gedruckt", "seite", "uhrzeit", "datum", "dernière", "mise", "à", "jour", "le", "mis", "modifié", "imprimé",
    "publié", "est",
))  # fmt: skip
_BINDING = re.compile(
    r"\b(?:effective|valid|validity|in force|applies|applicable|deadline|due|expir\w+|until|from|since|start\w*|end\w*|"
    r"commenc\w+|gültig\w*|kraft|frist|ab|bis|vigueur|valable|échéance)\b|:$"
)
_NOTHING = re.compile(
    rf"(?:(?:this\s+)?(?:page|document|site)\s+)?(?:was\s+)?(?:generated|rendered|loaded|served|created|built)\s+"
    rf"in\s+\d+(?:[.,]\d+)?\s*(?:ms|s|{_UNIT})\.?|"
    r"(?:page|seite)\s+\d+(?:\s*(?:of|/|von|sur)\s*\d+)?|"
    r"\d[\d,. ]*k?\+?\s*(?:(?:page|total|unique)\s+)?(?:views?|visits?|visitors?|readers?|reads|hits|comments?|shares?|"
    r"likes?|followers?|downloads?|(?:users?|people|guests?|members?)\s+online|aufrufe|kommentare|vues|commentaires)|"
    r"(?:views?|visits?|visitors?|hits|page views|aufrufe|besucher)\s*:?\s*\d[\d,. ]*|"
    r"\d+\s*min(?:ute)?s?\s+read|"
    r"(?:request|session|trace|ray|correlation|reference)\s*(?:id|no\.?|#)?\s*:\s*\S+|served by\s+\S+|"
    r"(?:advertisement|advertising|advert|ad|ads|sponsored|sponsored content|promoted|anzeige|werbung|publicité)"
)
_COPYRIGHT = re.compile(r"(?:©|\(c\)|copyright)")
_LONGEST_REMARK = 200
"""Characters: what is longer says more than when, or how often."""
_LONGEST_LABEL = 80
_YEARS = re.compile(r"\b(?:19|20)\d{2}(?:\s*[-–]\s*(?:19|20)?\d{2})?\b")


def keys(lines: Sequence[str], ignored: Iterable[re.Pattern[str]] = ()) -> list[str]:
    """The key of each line, in order; empty where the line does not count. ``ignored``: what a source adds to the
    rules; a line in which one of them is found does not count."""
    patterns = tuple(ignored)
    found: list[str] = []
    before = ""
    for line in lines:
        left_out = any(pattern.search(line) for pattern in patterns)
        found.append("" if left_out else key(line, before))
        before = line
    return found


def key(line: str, before: str = "") -> str:
    """The key of one line; ``before`` is the line above it, which may be the label of a date."""
    text = line.lower().strip(" #*|-–—·•")
    if len(text) <= _LONGEST_REMARK and (_NOTHING.fullmatch(text) or _says_only_when(text, before.lower().strip())):
        return ""
    if _COPYRIGHT.search(text):
        text = _YEARS.sub("", text)
    return " ".join(_IDENTIFIER.sub("‹id›", _MACHINE_TIME.sub("‹time›", text)).split())


def _says_only_when(text: str, before: str) -> bool:
    rest, moments = _MOMENT.subn(" ", text)
    if not moments or any(character.isdigit() for character in rest):
        return False
    if words := _WORD.findall(rest):
        return _MADE_WORDS.issuperset(words)
    if not _DAY.search(text):
        return False  # a clock time or a weekday by itself: opening hours
    label = _WORD.findall(before)
    return len(before) > _LONGEST_LABEL or _MADE_WORDS.issuperset(label) or not _BINDING.search(before)
