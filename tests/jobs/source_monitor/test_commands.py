"""The commands about sources and changes, as a person types them."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from source_monitor import commands
from tests.jobs.source_monitor.conftest import Monitor
from tests.upstreams.watched_pages import Page, PageServer


@pytest.fixture(autouse=True)
def _environment(monitor: Monitor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A program of its own takes over signals and logging; here they are given back."""
    monkeypatch.setenv("DATABASE_URL", monitor.url)
    monkeypatch.setenv("TERMINATION_LOG", str(tmp_path / "termination-log"))
    kept = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for number, handler in kept:
        signal.signal(number, handler)


def said(tmp_path: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((tmp_path / "termination-log").read_text())
    return document


def test_a_source_is_added_changed_listed_and_removed(monitor: Monitor, capsys: pytest.CaptureFixture[str]) -> None:
    add = ["sources", "add", "--url", "https://example.com/terms#part"]
    assert commands.main([*add, "--kind", "html", "--name", "Terms of Example"]) == 0
    assert (
        commands.main([*add, "--check-frequency", "0 6 * * 1", "--active", "false", "--alerts", '{"minimum_words": 5}'])
        == 0
    )
    source = monitor.source()
    assert (source.name, source.check_frequency, source.active) == ("Terms of Example", "0 6 * * 1", False)
    assert source.alerts == {"minimum_words": 5}
    capsys.readouterr()

    assert commands.main(["sources", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split()[:4] == ["ID", "ACTIVE", "KIND", "FREQUENCY"]
    assert all(
        word in listed[1]
        for word in ("no", "html", "0 6 * * 1", "never", "Terms of Example", "https://example.com/terms")
    )

    assert commands.main(["sources", "remove", "--source", "1"]) == 0
    assert commands.main(["sources", "remove", "--source", "1"]) == 66
    assert monitor.all(type(source)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "https://example.com/terms"], "kind is missing for https://example.com/terms"),
        (["--url", "example.com", "--kind", "html"], "url: 'example.com' is not an address"),
        (
            ["--url", "https://example.com/", "--kind", "html", "--check-frequency", "hourly"],
            "'hourly' is not a frequency",
        ),
        (["--url", "https://example.com/", "--kind", "html", "--reading", '{"drop": ["//p["]}'], "reading.drop.0: "),
    ],
)
def test_a_wrong_source_is_refused_with_the_mend(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert commands.main(["sources", "add", *arguments]) == 65
    assert message in str(said(tmp_path)["error"])


def test_a_file_is_taken_over_whole_and_again_without_a_change(monitor: Monitor, tmp_path: Path) -> None:
    path = tmp_path / "sources.json"
    rows = [{"url": f"https://example.com/{number}", "kind": "html"} for number in range(3)]
    path.write_text(json.dumps(rows))
    assert commands.main(["sources", "import", "--file", str(path)]) == 0
    assert said(tmp_path)["message"] == "3 sources added, 0 changed, 0 as they were"
    assert commands.main(["sources", "import", "--file", str(path)]) == 0
    assert said(tmp_path)["message"] == "0 sources added, 0 changed, 3 as they were"

    path.write_text(json.dumps([rows[0] | {"name": "First"}, {"url": "https://example.com/new"}]))
    assert commands.main(["sources", "import", "--file", str(path)]) == 65
    assert monitor.source().name == "example.com/0"
    assert commands.main(["sources", "import", "--file", str(tmp_path / "none.json")]) == 66


def test_changes_are_listed_and_shown(monitor: Monitor, pages: PageServer, capsys: pytest.CaptureFixture[str]) -> None:
    pages.pages["/terms"] = Page.html("<p>Refunds within 14 days.")
    monitor.add(f"{pages.url}/terms", name="Terms")
    monitor.fetch()
    pages.pages["/terms"] = Page.html("<p>Refunds within 30 days.")
    monitor.fetch()
    capsys.readouterr()

    assert commands.main(["changes", "list"]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "DETECTED", "SOURCE", "NAME", "NEW", "GONE", "ALERTS"]
    assert "Terms" in line
    assert "not told: nobody is set up to be told" in line
    assert commands.main(["changes", "show", "--change", "1"]) == 0
    assert "~ Refunds within [-14-]{+30+} days." in capsys.readouterr().out
    assert commands.main(["changes", "show", "--change", "9"]) == 66
