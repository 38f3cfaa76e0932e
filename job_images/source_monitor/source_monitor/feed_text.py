"""The entries of an RSS or Atom feed as lines: one entry, one line of its title and its text."""

from __future__ import annotations

import io

import feedparser

from source_monitor.html_text import fragment_text


class NoFeedError(ValueError):
    """The document is no feed; the message says what is wrong with it."""


def feed_lines(body: bytes, content_type: str = "") -> list[str]:
    """The entries in the feed's order. When they were published is left out, and so is all that the feed says of
    itself. A feed that is not well-formed is read as far as it goes. Raises NoFeedError."""
    # From memory, always: given text, feedparser takes it for an address or a file name.
    feed = feedparser.parse(io.BytesIO(body), response_headers={"content-type": content_type} if content_type else {})
    if not feed.get("version") and not feed.entries:
        reason = feed.get("bozo_exception")
        raise NoFeedError(f"no RSS or Atom feed{f': {reason}' if reason else ''}")
    if not feed.entries and feed.bozo and not isinstance(feed.bozo_exception, feedparser.CharacterEncodingOverride):
        raise NoFeedError(f"a feed that breaks off before its first entry: {feed.bozo_exception}")
    return [line for entry in feed.entries if (line := _line(entry))]


def _line(entry: feedparser.FeedParserDict) -> str:
    contents = [part.get("value", "") for part in entry.get("content", ())] or [entry.get("summary", "")]
    parts = [entry.get("title", ""), *contents]
    texts = [text for part in parts if part and (text := fragment_text(part))]
    return ": ".join(texts) or str(entry.get("link", ""))
