"""What is read of a page."""

from __future__ import annotations

import time

import pytest

from source_monitor.html_text import PathError, html_lines


def lines(markup: str, **options: object) -> list[str]:
    return html_lines(markup.encode(), "utf-8", **options)  # type: ignore[arg-type]


def test_a_line_for_each_paragraph_heading_item_and_row() -> None:
    markup = """<body><h1>Refunds</h1>loose <b>text</b>
      <p>Within&nbsp;<i>14</i> days.</p><ul><li>one<li>two <a href=x>linked</a></ul>
      <table><tr><th>Kind<th>Days</tr><tr><td>Books<td>30</tr></table>
      <dl><dt>Effective</dt><dd>1 May 2026</dd></dl><p>a<br>b</p><pre>x = 1
y = 2</pre></body>"""
    assert lines(markup) == [
        "# Refunds", "loose text", "Within 14 days.", "- one", "- two linked", "Kind | Days", "Books | 30",
        "Effective: 1 May 2026", "a", "b", "x = 1", "y = 2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "around",
    [
        "<script>var x = 'secret'</script>",
        "<style>p {}</style>",
        "<noscript>Turn on scripts</noscript>",
        "<nav><a>Home</a></nav>",
        "<header>Example Inc.</header>",
        "<footer>Imprint</footer>",
        "<aside>Also of interest</aside>",
        "<div role=navigation>Menu</div>",
        "<div class='ad-slot wide'>Buy now</div>",
        "<div id=google-ads-2>Buy now</div>",
        "<ins class=adsbygoogle>Buy now</ins>",
        "<div class=sponsored>Buy now</div>",
        "<div class=cookie-banner>We use cookies</div>",
        "<div id=onetrust-consent-sdk>We value your privacy</div>",
        "<ol class=breadcrumb><li>Home</ol>",
        "<div hidden>unseen</div>",
        "<div style='display: none'>unseen</div>",
        "<span aria-hidden=true>unseen</span>",
        "<select><option>Country</select><button>Send</button>",
        "<!-- a comment 12:30 -->",
        "<iframe src=x>frame</iframe>",
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_what_stands_around_the_text_is_not_read_wherever_it_stands(around: str, before: bool) -> None:
    text = "<p>Refunds within 14 days.</p>"
    assert lines(around + text if before else text + around) == ["Refunds within 14 days."]


@pytest.mark.parametrize(
    "markup",
    [
        "<section id=cookies><p>We set these cookies.</section>",
        "<div class=cookie-policy><p>We set these cookies.</div>",
        "<body class='has-ads'><p>We set these cookies.",
        "<div class=ads-free><p>We set these cookies.</div>",
        "<div class=ad><p>We set these cookies.</div>",  # all of the page's text: that is no advert
        "<form><p>We set these cookies.</form>",
        "<article><header>We set these cookies.</header></article>",
        "<details><summary>We set these cookies.</summary></details>",
    ],
)
def test_what_only_looks_like_the_surroundings_is_read(markup: str) -> None:
    assert lines(markup) == ["We set these cookies."]


def test_a_page_that_marks_its_main_part_is_read_there_alone() -> None:
    assert lines("<div>teaser</div><main><p>text<aside>x</aside></main><div>more</div>") == ["text"]
    assert lines("<div>teaser</div><div role=main>text</div>") == ["text"]
    assert lines("<main></main><p>text") == ["text"]


def test_a_source_may_say_what_to_read_and_what_to_leave_out() -> None:
    markup = "<main>news</main><nav id=rules><p>first<p class=x>second</nav>"
    assert lines(markup, select="//*[@id='rules']", drop=["//p[@class='x']"]) == ["first"]
    assert lines(markup, select="//*[@id='gone']") == []


@pytest.mark.parametrize("path", ["//p[", "count(//p)"])
def test_an_xpath_that_finds_no_elements_is_named(path: str) -> None:
    with pytest.raises(PathError, match=r"XPath|elements"):
        lines("<p>a", select=path)


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<p>Grüße – 5 €".encode(), ""),
        ("<p>Grüße – 5 €".encode(), "utf-8"),
        ("<p>Grüße – 5 €".encode("cp1252"), "iso-8859-1"),
        ("<p>Grüße – 5 €".encode("cp1252"), ""),
        ("<p>Grüße – 5 €".encode("cp1252"), "no-such-charset"),
        (b"<meta charset='windows-1252'>" + "<p>Grüße – 5 €".encode("cp1252"), ""),
        ("<p>Grüße – 5 €".encode("utf-16"), "iso-8859-1"),
        (b"<?xml version='1.0' encoding='utf-8'?>" + "<html><p>Grüße – 5 €".encode(), ""),
    ],
)
def test_the_encoding_is_that_of_the_mark_the_server_the_page_or_the_bytes(body: bytes, charset: str) -> None:
    assert html_lines(body, charset) == ["Grüße – 5 €"]


@pytest.mark.parametrize("body", [b"", b" ", b"<!-- -->", b"<p> ... </p>", b"<div>\xc2\xa0</div>"])
def test_a_page_without_text_has_no_lines(body: bytes) -> None:
    assert html_lines(body) == []


def test_deep_pages_are_read_and_absurdly_deep_ones_do_no_harm() -> None:
    assert lines("<div>" * 1000 + "text") == ["text"]
    assert lines("<p>a</p>" + "<div>" * 100_000)[0] == "a"


@pytest.mark.parametrize("opening", ["<div class=ad>", "<main>", "<header>", "<div class=ad>a<main>b<footer>"])
def test_pages_that_nest_to_take_long_do_not(opening: str) -> None:
    began = time.process_time()
    lines(opening * 20_000 + "word " * 40_000)
    assert time.process_time() - began < 4


def test_nothing_invisible_remains_and_nothing_that_no_database_keeps() -> None:
    assert lines("<p>pol\u00adi\u200bcy\x01\ufeff cafe\u0301") == ["policy caf\u00e9"]
    assert "\0" not in "".join(lines("<p>a&#0;b\0c"))
