"""What is read of feeds and of PDF files."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from source_monitor.difference import compare
from source_monitor.feed_text import NoFeedError, feed_lines
from source_monitor.pdf_text import UnreadableError, pdf_lines, sentences
from tests.upstreams.watched_pages import Page

ATOM = b"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Notices</title><id>urn:1</id><updated>2026-11-24T00:00:00Z</updated>
<entry><title>Fees</title><id>urn:2</id><updated>2026-11-24T00:00:00Z</updated>
<content type="html">&lt;p&gt;Fees &lt;b&gt;rise&lt;/b&gt; in May.&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</content>
</entry>
<entry><title>Without text</title><id>urn:3</id></entry><entry><id>urn:4</id><link href="https://example.com/4"/></entry>
</feed>"""
PROSE = (
    "The provider may change the prices once a year. Customers are told a month before. "
    "Whoever does not agree may end the contract on the day of the change. Nothing is owed from then on."
)


def test_an_entry_is_a_line_of_title_and_text() -> None:
    assert feed_lines(ATOM, "application/atom+xml") == [
        "Fees: Fees rise in May.",
        "Without text",
        "https://example.com/4",
    ]
    assert feed_lines(Page.rss(("Hours", "9 to 16"), ("Prices", "rise")).body) == ["Hours: 9 to 16", "Prices: rise"]


def test_a_feed_that_is_not_well_formed_is_read_as_far_as_it_goes() -> None:
    assert feed_lines(ATOM[: ATOM.index(b"<entry><id>")])[:1] == ["Fees: Fees rise in May."]


def test_a_feed_may_be_empty() -> None:
    assert feed_lines(Page.rss().body) == []


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Sorry</body></html>", b"\x00\x01\x02", b'{"items": []}', ATOM[:120]]
)
def test_what_is_no_feed_is_refused(body: bytes) -> None:
    with pytest.raises(NoFeedError):
        feed_lines(body)


def test_a_feed_is_never_taken_for_the_name_of_a_file() -> None:
    with pytest.raises(NoFeedError):
        feed_lines(b"/etc/hostname")


def test_entities_that_grow_without_end_do_no_harm() -> None:
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    entities = f'<!ENTITY a0 "{"ha" * 500}">{levels}'
    feed = '<rss version="2.0"><channel><item><title>&a11;</title></item></channel></rss>'
    bomb = f'<?xml version="1.0"?><!DOCTYPE r [{entities}]>{feed}'
    with suppress(NoFeedError):
        assert len("".join(feed_lines(bomb.encode()))) < 1_000_000


def set_in(width: int, text: str = PROSE, pages: int = 1) -> bytes:
    """A PDF file with the text set in a column of so many millimetres."""
    document = FPDF()
    document.set_font("Helvetica", size=12)
    for number in range(1, pages + 1):
        document.add_page()
        document.multi_cell(width, 8, text)
        document.set_y(-30)
        document.cell(text=f"Page {number} of {pages}")
    return bytes(document.output())


def test_a_pdf_is_read_by_sentences_however_its_lines_are_broken() -> None:
    narrow, wide = pdf_lines(set_in(60)), pdf_lines(set_in(180))
    assert "Customers are told a month before." in wide
    assert compare(narrow, wide) is None


def test_sentences_run_across_lines_and_pages_and_page_numbers_are_no_part_of_them() -> None:
    pages = [
        "The pro-\nvider pays.\nSee no. 5 and\n- 1 -\n",
        "Page 2 of 2\nthe annex. It\nis short.\n\n3. Fees\n\nNone",
    ]
    assert sentences(pages) == ["The provider pays.", "See no. 5 and the annex.", "It is short.", "3. Fees", "None"]


def test_a_pdf_that_is_only_protected_against_changes_is_read() -> None:
    assert "The provider may change the prices once a year." in pdf_lines(encrypted("", "owner"))


def encrypted(user: str, owner: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(set_in(180))))
    writer.encrypt(user, owner, algorithm="AES-256")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>Sorry</html>", "not a PDF"),
        (b"%PDF-1.7\nand nothing else", "broken PDF"),
        (encrypted("secret", "owner"), "needs a password"),
    ],
    ids=["html", "broken", "password"],
)
def test_why_a_pdf_can_not_be_read_is_told(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        pdf_lines(body)


def test_a_pdf_that_takes_too_long_or_too_much_fails_alone() -> None:
    body = set_in(180, pages=3)
    with pytest.raises(UnreadableError, match=r"more than 0\.05 s"):
        pdf_lines(body, seconds=0.05)
    with pytest.raises(UnreadableError, match=r"40 MiB|ends its reader"):
        pdf_lines(body, mebibytes=40)
