"""The text of an HTML page that a reader came for, as lines.

Left out is what stands around it or can't be read: scripts, forms' controls, menus, side notes, the site's header
and footer, what is hidden, adverts and consent banners. A page that marks its main part is read there alone.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence

from lxml import etree, html  # type: ignore[import-untyped]

from source_monitor.lines import cleaned

_NEVER_TEXT = frozenset((
    "script", "style", "noscript", "template", "svg", "iframe", "frame", "frameset", "object", "embed", "applet",
    "canvas", "audio", "video", "map", "head", "input", "select", "textarea", "button", "datalist", "progress",
    "meter", "nav", "aside", "dialog", "menu",
))  # fmt: skip
_ADVERT_TAGS = frozenset(("amp-ad", "amp-embed", "ins-ad"))
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "br", "center", "caption", "dd", "details", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
    "html", "legend", "li", "main", "ol", "optgroup", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
    "thead", "tr", "ul",
))  # fmt: skip
_MARKS = {f"h{level}": "# " for level in range(1, 7)} | {"li": "- "}
_CELL_END = " | "
_ROLES = frozenset((
    "banner", "navigation", "complementary", "contentinfo", "search", "dialog", "alertdialog", "timer", "log",
    "marquee", "menu",
))  # fmt: skip
_SITE_PARTS = frozenset(("header", "footer"))
_CONTENT = frozenset(("main", "article"))
_ADVERT = re.compile(
    r"(?:(?:google|dfp|gpt|js|wp|top|side|sidebar|inline|native|banner|page|content|in-article)[-_])?"
    r"(?:ads?|adverts?|advertisements?|advertising|adsbygoogle|adsense|sponsored|promo|promotion|taboola|outbrain)"
    r"(?:[-_]?(?:slot|unit|container|wrapper|wrap|box|banner|block|space|area|label|content|inner|link|post|\d+))*"
    r"|(?:div[-_])?gpt[-_]ad.*|(?:taboola|outbrain)[-_].*"
    r"|(?:cookies?|consent|gdpr|privacy)[-_]?(?:banner|consent|notice|bar|popup|modal|overlay|dialog|message)"
    r"|(?:onetrust|cybotcookiebot|usercentrics|didomi|qc-cmp2|cmpbox).*"
    r"|breadcrumbs?|(?:social|share|sharing)[-_]?(?:buttons?|links?|bar|icons?|share)|newsletter[-_]?(?:signup|form|box|banner)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE)
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LARGEST_SHARE = 0.5
"""Of the page's text: what is called an advert and holds more than this is the page itself, oddly named."""

_MOST_ODDLY_NAMED = 20
"""Of those; each costs a look at all of its text, and a page may nest thousands."""
_MOST_MAIN_PARTS = 100


class PathError(ValueError):
    """A source's XPath can't be used; the message names it."""


def html_lines(body: bytes, charset: str = "", select: str = "", drop: Sequence[str] = ()) -> list[str]:
    """The page's lines; none where it has no text. ``charset`` is what the server said. ``select`` and ``drop`` are
    XPaths: what to read instead of the main part, and what to leave out as well. Raises PathError."""
    root = _parsed(decoded(body, charset))
    if root is None:
        return []
    for path in drop:
        for element in _found(root, path):
            _remove(element)
    if select:
        parts = _found(root, select)
        _clear(root, keep=frozenset(parts))
    else:
        _clear(root)
        parts = [part for part in _main_parts(root) if any(text.strip() for text in part.itertext())] or [root]
    return cleaned(line.removesuffix(_CELL_END) for part in parts for line in _lines(part))


def fragment_text(markup: str) -> str:
    """The text of a piece of HTML, such as a feed's summary, in one line."""
    return " ".join(html_lines(f"<div>{markup}</div>".encode(errors="replace"), "utf-8", select="//body"))


def decoded(body: bytes, charset: str) -> str:
    """The text in the encoding that a byte order mark, the server, or the page itself names; else UTF-8 where that
    fits, and Windows-1252 where it does not."""
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    named = _META_CHARSET.search(body[:4096])
    for candidate in (charset, named[1].decode("ascii") if named else ""):
        if _is_text_encoding(candidate):
            # As browsers do: pages that say Latin-1 mean Windows-1252.
            plain = codecs.lookup(candidate).name
            return body.decode("cp1252" if plain in ("iso8859-1", "ascii") else plain, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _is_text_encoding(name: str) -> bool:
    try:
        b" ".decode(name or "none")  # of nothing at all no codec is looked up
    except (LookupError, ValueError):
        return False
    return True


def _parsed(text: str) -> html.HtmlElement | None:
    # Not huge, a tree ends at 256 levels, and with it the text, without a word.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        return html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:  # an empty document
        return None


def _found(root: html.HtmlElement, path: str) -> list[html.HtmlElement]:
    try:
        found = root.xpath(path)
    except etree.XPathError as error:
        raise PathError(f"{path!r} is not an XPath: {error}") from error
    if not isinstance(found, list):
        raise PathError(f"{path!r} finds no elements but a {type(found).__name__}")
    return [element for element in found if isinstance(element, html.HtmlElement)]


def _clear(root: html.HtmlElement, keep: frozenset[html.HtmlElement] = frozenset()) -> None:
    """Take out what is not read, but for what a source has selected."""
    most = _LARGEST_SHARE * _size(root)
    oddly_named = 0
    kept = keep | {ancestor for element in keep for ancestor in element.iterancestors()}
    for element in list(root.iter(etree.Element)):
        if element in kept or element.getparent() is None:
            continue
        if _is_never_read(element):
            _remove(element)
        elif oddly_named < _MOST_ODDLY_NAMED and _is_advert(element):
            if _size(element) <= most:
                _remove(element)
            else:
                oddly_named += 1


def _is_never_read(element: html.HtmlElement) -> bool:
    tag, get = element.tag, element.get
    if tag in _NEVER_TEXT or tag in _ADVERT_TAGS or get("role", "").lower() in _ROLES:
        return True
    if get("hidden") is not None or get("aria-hidden", "").lower() == "true" or _HIDDEN.search(get("style", "")):
        return True
    return tag in _SITE_PARTS and not any(ancestor.tag in _CONTENT for ancestor in element.iterancestors())


def _is_advert(element: html.HtmlElement) -> bool:
    if element.tag in ("html", "body", "main", "article"):
        return False
    names = (*element.get("class", "").split(), element.get("id", ""))
    return any(_ADVERT.fullmatch(name) for name in names if name)


def _size(element: html.HtmlElement) -> int:
    return sum(map(len, element.itertext()))


def _remove(element: html.HtmlElement) -> None:
    if element.getparent() is not None:
        element.drop_tree()


def _main_parts(root: html.HtmlElement) -> list[html.HtmlElement]:
    """The outermost parts that are marked as the main one."""
    marked = root.xpath("//main | //*[@role='main']")[:_MOST_MAIN_PARTS]
    return [part for part in marked if not any(ancestor in marked for ancestor in part.iterancestors())]


def _lines(root: html.HtmlElement) -> Iterator[str]:
    """The text by blocks; the cells of a row, and a term with its definition, share a line."""
    line: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        if event == "start":
            if tag in _BLOCKS and not (tag == "dd" and line):
                yield "".join(line)
                line = [_MARKS.get(tag, "")]
            if element.text:
                yield from _flowed(line, element.text, preformatted=tag == "pre")
            continue
        if tag in ("td", "th"):
            line.append(_CELL_END)
        elif tag == "dt":
            line.append(": ")
        elif tag in _BLOCKS:
            yield "".join(line)
            line = []
        if element.tail and element is not root:
            yield from _flowed(line, element.tail, preformatted=False)
    yield "".join(line)


def _flowed(line: list[str], text: str, preformatted: bool) -> Iterator[str]:
    """Add the text to the line; where line breaks count, give away each line that it ends."""
    if preformatted:
        *ended, text = text.split("\n")
        for part in ended:
            yield "".join((*line, part))
            line.clear()
    line.append(text)
