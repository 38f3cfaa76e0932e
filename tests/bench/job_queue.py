"""How long the jobs of job_queue take, and how much memory: ``python -m tests.bench.job_queue [--documents 1000]``.

Documents of all kinds (PDF, DOCX, HTML, Markdown, text) of some 6,000 characters each: processed first, again with
nothing changed, and with one in a hundred changed; their chunks embedded, first and again; a question asked; and CSV,
JSONL and XLSX files of a hundred rows a document imported; ten items of Monday.com and issues of Jira a document copied
from the stand-ins. Each in a process of its own on SQLite: wall-clock time,
processor time of it and its children, and the peak of their resident memory together, looked at twenty times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import openpyxl

from tests.jobs.job_queue import material
from tests.upstreams import jira, monday
from tests.upstreams.jira import JiraServer
from tests.upstreams.monday import MondayServer

IMAGES = Path(__file__).parents[2] / "job_images"
_WORDS = " ".join(material.SUBJECTS.values()).split()


def measure(root: Path, *arguments: str, **more: str) -> tuple[float, float, float, str]:
    """Seconds by the clock, seconds of processor time, MiB, and the message of one run."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(IMAGES / name) for name in ("sdk", "job_queue")),
        "DATA_ROOT": str(root),
        "TERMINATION_LOG": str(root / "termination-log"),
        **more,
    }
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "job_queue", *arguments], env=environment, stderr=subprocess.DEVNULL
    )
    peak = 0.0
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _resident(process.pid))
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    said = json.loads((root / "termination-log").read_text())
    if process.returncode:
        raise SystemExit(f"{arguments[0]} ended with exit code {process.returncode}: {said}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, peak, str(said["message"])


def _resident(pid: int) -> float:
    """MiB of a process and its children."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(_resident(int(child)) for child in children)


def write_documents(folder: Path, count: int) -> None:
    """So many documents, of each kind as many."""
    folder.mkdir(parents=True)
    rng = random.Random(count)
    for number in range(count):
        paragraphs = [" ".join(rng.choices(_WORDS, k=110)) + "." for _ in range(9)]
        write_document(folder, number, paragraphs)


def write_document(folder: Path, number: int, paragraphs: list[str]) -> None:
    """One document; its number tells the kind."""
    text = "\n".join(paragraphs)
    match number % 5:
        case 0:
            (folder / f"{number:05}.pdf").write_bytes(material.pdf(text, f"Document {number}"))
        case 1:
            (folder / f"{number:05}.docx").write_bytes(material.word(text, f"Document {number}"))
        case 2:
            page = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
            (folder / f"{number:05}.html").write_text(f"<title>{number}</title><nav>Menu</nav>{page}")
        case 3:
            (folder / f"{number:05}.md").write_text(f"# Document {number}\n\n" + "\n\n".join(paragraphs))
        case _:
            (folder / f"{number:05}.txt").write_text("\n\n".join(paragraphs))


def write_imports(folder: Path, count: int) -> None:
    """The same rows as CSV, JSONL and XLSX."""
    folder.mkdir(parents=True)
    rows = [(number, f"Customer {number}", number * 1.5, "2026-01-31") for number in range(count)]
    names = ("id", "name", "amount", "opened")
    (folder / "rows.csv").write_text("\n".join(",".join(map(str, row)) for row in (names, *rows)) + "\n")
    (folder / "rows.jsonl").write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in (names, *rows):
        sheet.append(row)
    book.save(folder / "rows.xlsx")


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description="Measure the jobs of job_queue.")
    parser.add_argument("--documents", type=int, default=1000, help="how many documents (default 1000)")
    documents = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_documents(root / "documents", documents)
        write_imports(root / "imports", documents * 100)
        print(f"{'run':<42}{'seconds':>8}{'CPU s':>8}{'RSS MiB':>9}  message")
        _tell(root, "documents, first", "document-processing")
        _tell(root, "documents, nothing changed", "document-processing")
        for number in range(0, documents, 100):
            write_document(root / "documents", number, ["Corrected."] * 9)
        _tell(root, "documents, 1 % corrected", "document-processing")
        _tell(root, "embeddings, first", "embedding-generation")
        _tell(root, "embeddings, nothing changed", "embedding-generation")
        _tell(root, "search", "search", "--question=When is an invoice due?")
        for kind in ("csv", "jsonl", "xlsx"):
            fields = "--fields=amount:number,opened:date"
            _tell(root, f"import of {documents * 100} rows, {kind}", "bulk-import", f"--path=rows.{kind}", fields)
        _tell_of_upstreams(root, documents * 10)
        _tell(root, "audit, all of it", "audit-cleanup", "--keep-days=0")


def _tell_of_upstreams(root: Path, count: int) -> None:
    with MondayServer(boards={"7": monday.items(count)}) as board:
        _tell(root, f"{count} items of Monday.com", "monday-sync", MONDAY_URL=board.url, MONDAY_TOKEN=board.token)
    with JiraServer(issues=jira.issues(count)) as site:
        account = {"JIRA_URL": site.url, "JIRA_EMAIL": site.email, "JIRA_TOKEN": site.token}
        _tell(root, f"{count} issues of Jira", "jira-refresh", **account)


def _tell(root: Path, name: str, *arguments: str, **more: str) -> None:
    seconds, processor, memory, message = measure(root, *arguments, **more)
    print(f"{name:<42}{seconds:>8.2f}{processor:>8.2f}{memory:>9.1f}  {message}", flush=True)


if __name__ == "__main__":
    main()
