"""How long a daily fetch takes, and how much memory: ``python -m tests.bench.source_monitor [--sources 200]``.

Of each ten sources eight are pages (20 to 200 kB), one is a feed and one a PDF file, on twenty hosts. Runs, each a
process of its own: the first one; one in which the servers say that nothing changed (304); one in which they send all
again and nothing changed; one with a tenth changed; the same with the usual second between two requests to a host. Then
the largest documents that are read by default: a page and a feed of 10 MiB, and a PDF file of 400 pages.

Memory is the peak of what is resident of the process and of the child that reads PDF files together.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from fpdf import FPDF

from tests.upstreams.watched_pages import Page, PageServer

IMAGES = Path(__file__).parents[2] / "job_images"
HOSTS = 20
WORDS = (
    "the", "provider", "may", "change", "these", "terms", "customers", "are", "told", "refunds", "within", "days",
    "of", "purchase", "shipping", "price", "notice", "contract", "data", "stored", "deleted", "rights", "law",
    "court", "region", "account", "payment", "fee", "service", "support", "limits", "liability",
)  # fmt: skip


class Memory(threading.Thread):
    """Looks at the resident memory of a process and its children until the process ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self._pid = pid

    def run(self) -> None:
        while (now := self._now()) is not None:
            self.peak = max(self.peak, now)
            time.sleep(0.01)

    def _now(self) -> float | None:
        try:
            threads = Path(f"/proc/{self._pid}/task").iterdir()
            children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
            return sum(map(_resident, (str(self._pid), *children)))
        except OSError:
            return None


def _resident(pid: str) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (OSError, IndexError):
        return 0.0


def prose(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(WORDS, k=words)).capitalize() + "."


def html(chance: random.Random, size: int) -> Page:
    """A page of some kilobytes with what real pages have around their text."""
    around = "<nav>" + "<a href='/x'>Menu</a>" * 50 + "</nav><script>" + "var x = 1;" * 500 + "</script>"
    parts = [f"<h2>{number}</h2><p class='c{number}'>{prose(chance, 60)}</p>" for number in range(size // 430)]
    return Page.html(f"{around}<div class='ad-slot'>{{{{advert}}}}</div><main>{''.join(parts)}</main>")


def pdf(chance: random.Random, pages: int) -> Page:
    document = FPDF()
    document.set_font("Helvetica", size=11)
    for _ in range(pages):
        document.add_page()
        document.multi_cell(0, 6, "\n".join(prose(chance, 40) for _ in range(10)))
    return Page(bytes(document.output()), "application/pdf")


def document(number: int, edition: int) -> tuple[str, Page]:
    """The kind and content of a source; of its second edition one paragraph more."""
    chance = random.Random(number)
    more = f"Edition {edition} has come."
    match number % 10:
        case 8:
            entries = [(prose(chance, 6), prose(chance, 60)) for _ in range(30)]
            return "feed", replace(Page.rss(*([(more, more)] if edition else []), *entries), validators=True)
        case 9:
            return "pdf", pdf(random.Random(number + edition), 5)
    page = html(chance, chance.randint(20_000, 200_000))
    return "html", replace(
        page, body=page.body.replace(b"</main>", f"<p>{more}</p></main>".encode() if edition else b"</main>")
    )


def measure(folder: Path, title: str, **settings: str) -> None:
    """Run the job once and print a line."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(IMAGES / name) for name in ("sdk", "source_monitor")),
        "DATA_ROOT": str(folder),
        "TERMINATION_LOG": str(folder / "termination"),
        "ALLOWED_INTERNAL_NETWORKS": "127.0.0.1",
        "FETCH_HOST_PAUSE": "0",
        "MALLOC_ARENA_MAX": "2",
    }
    began = time.monotonic()
    command = [sys.executable, "-m", "source_monitor", "daily-fetch", "--force"]
    process = subprocess.Popen(command, env=environment | settings, stderr=subprocess.DEVNULL)
    memory = Memory(process.pid)
    memory.start()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    memory.join()
    said = (folder / "termination").read_text()
    if process.returncode:
        raise SystemExit(f"the job ended with exit code {process.returncode}: {said}")
    print(f"{title:<34}{took:>8.2f}{used.ru_utime + used.ru_stime:>8.2f}{memory.peak:>9.1f}", flush=True)


def enter(folder: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Enter the sources, as addresses and kinds."""
    path = folder / "sources.csv"
    path.write_text("url,kind\n" + "".join(f"{url},{kind}\n" for url, kind in rows))
    environment = os.environ | {"DATA_ROOT": str(folder), "TERMINATION_LOG": os.devnull}
    environment["PYTHONPATH"] = os.pathsep.join(str(IMAGES / name) for name in ("sdk", "source_monitor"))
    command = [sys.executable, "-m", "source_monitor", "sources", "import", "--file", str(path)]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)


def many(count: int) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        servers = [stack.enter_context(PageServer()) for _ in range(HOSTS)]
        rows = []
        for number in range(count):
            server = servers[number % HOSTS]
            kind, server.pages[f"/{number}"] = document(number, 0)
            rows.append((f"{server.url}/{number}", kind))
        enter(folder, rows)
        measure(folder, f"{count} sources, first")
        measure(folder, "nothing changed (304)")
        for server in servers:
            server.pages = {path: replace(page, validators=False) for path, page in server.pages.items()}
        measure(folder, "nothing changed, all sent again")
        for edition, title, pause in ((1, "a tenth changed", "0"), (2, "a tenth changed, 1 s between", "1")):
            for number in range(0, count, 10):
                changing = number + number // 10 % 10
                servers[changing % HOSTS].pages[f"/{changing}"] = document(changing, edition)[1]
            measure(folder, title, FETCH_HOST_PAUSE=pause)


def large() -> None:
    chance = random.Random(1)
    biggest = {
        "page of 10 MiB": ("html", html(chance, 9_500_000)),
        "feed of 10 MiB": ("feed", Page.rss(*((prose(chance, 6), prose(chance, 60)) for _ in range(17_000)))),
        "PDF file of 400 pages": ("pdf", pdf(chance, 400)),
    }
    for title, (kind, page) in biggest.items():
        with tempfile.TemporaryDirectory() as name, PageServer(pages={"/x": page}) as server:
            enter(Path(name), [(f"{server.url}/x", kind)])
            measure(Path(name), f"{title} ({len(page.body) / (1 << 20):.1f} MiB)")


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description="Measure source_monitor's daily fetch.")
    parser.add_argument("--sources", type=int, default=200, help="how many (default 200)")
    count = parser.parse_args().sources
    print(f"{'run':<34}{'seconds':>8}{'CPU s':>8}{'RSS MiB':>9}", flush=True)
    many(count)
    large()


if __name__ == "__main__":
    main()
