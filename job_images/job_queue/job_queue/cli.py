"""The commands: ``job-queue COMMAND``. What each takes stands in its signature; the work is imported when it is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le, MinLen

from scheduledtask_sdk import Help, Jobs, Run, Secret, Setting, Success
from scheduledtask_sdk.failures import InvalidInput, Misconfigured

if TYPE_CHECKING:
    import sqlalchemy as sa

jobs = Jobs(
    "job-queue",
    "The background work of a document platform: one command, one job, run to its end.",
    epilog="""\
Everything lies below one folder, DATA_ROOT (/data in the image):
  documents/         files that document-processing reads
  imports/           files that bulk-import reads
  job_queue.sqlite   the database, unless DATABASE_URL names a PostgreSQL

Exit codes: 0 done, 75 failed and worth another attempt, 65 unusable input, 66 missing input, 77 permission, 78
configuration, 70 a defect of the program.

Try it: DATA_ROOT=./example job-queue document-processing
""",
)

DataRoot = Annotated[Path, Setting("DATA_ROOT"), Help("folder that everything lies under")]
DatabaseUrl = Annotated[str, Secret("DATABASE_URL"), Help("postgresql://…; empty: SQLite below DATA_ROOT")]
EmbeddingModel = Annotated[
    str,
    Setting("EMBEDDING_MODEL"),
    Help("folder of a static model (model.safetensors, tokenizer.json); empty: the one of wordllama"),
]
LongestWait = Annotated[
    float, Setting("LONGEST_WAIT"), Ge(0), Help("seconds that an upstream's limits may make an attempt wait")
]
AnswerTimeout = Annotated[float, Setting("HTTP_TIMEOUT"), Ge(0.1), Help("seconds without a byte of an answer")]


@jobs.command("document-processing", "files to clean text in overlapping chunks")
def document_processing(
    run: Run,
    path: Annotated[str, Help("file or folder below documents/; empty: all")] = "",
    chunk_characters: Annotated[int, Ge(100), Le(20_000), Help("most characters of a chunk")] = 1000,
    chunk_overlap: Annotated[int, Ge(0), Help("most characters that two chunks share")] = 150,
    force: Annotated[bool, Help("read also what did not change")] = False,
    data_root: DataRoot = Path("/data"),
    database_url: DatabaseUrl = "",
    file_limit: Annotated[int, Setting("DOCUMENT_BYTES"), Ge(1), Help("largest file, in bytes")] = 50_000_000,
    memory_limit: Annotated[
        int, Setting("DOCUMENT_MEMORY"), Ge(128), Help("MiB of address space that reading a file may take")
    ] = 768,
    time_limit: Annotated[int, Setting("DOCUMENT_SECONDS"), Ge(1), Help("seconds that reading a file may take")] = 120,
) -> Success:
    """Read the files below documents/ (PDF, DOCX, HTML, Markdown, text), clean their text and cut it into overlapping
    chunks. Only new and changed files are read; what is gone takes its chunks with it. Files that can't be used
    (broken, encrypted, too large) are named with the reason and hold up no other; the job fails only where none can
    be used."""
    from job_queue.documents.document_processing import Settings, process

    if chunk_overlap > chunk_characters // 2:
        raise InvalidInput(f"chunk_overlap: {chunk_overlap} is more than half of chunk_characters {chunk_characters}")
    settings = Settings(
        folder=data_root / "documents",
        path=path,
        size=chunk_characters,
        overlap=chunk_overlap,
        force=force,
        file_limit=file_limit,
        memory=memory_limit,
        seconds=time_limit,
    )
    with _database(run, database_url) as engine:
        return process(engine, run, settings)


@jobs.command("embedding-generation", "a vector for each new or changed chunk")
def embedding_generation(
    run: Run,
    batch_size: Annotated[int, Ge(1), Le(1000), Help("chunks in a batch, which is a transaction")] = 64,
    embedding_model: EmbeddingModel = "",
    database_url: DatabaseUrl = "",
) -> Success:
    """Embed the texts of chunks that have no vector of this model yet, and drop the vectors of texts that are gone.
    The vectors are compared by sqlite-vec on SQLite and by pgvector on PostgreSQL; without that extension the job
    fails and says what to install."""
    from job_queue.embeddings.embedding_generation import generate

    with _database(run, database_url) as engine:
        return generate(engine, run, embedding_model, batch_size)


@jobs.command("search", "the chunks nearest to a question in words")
def search(
    run: Run,
    question: Annotated[str, MinLen(1), Help("what to look for")],
    most: Annotated[int, Ge(1), Le(100), Help("how many chunks at most")] = 5,
    embedding_model: EmbeddingModel = "",
    database_url: DatabaseUrl = "",
) -> Success:
    """Find the chunks whose meaning is nearest to the question, by the vectors of embedding-generation."""
    from job_queue.embeddings.embedding_generation import search as look_for

    with _database(run, database_url) as engine:
        return look_for(engine, embedding_model, question, most)


@jobs.command("monday-sync", "a copy of the items of Monday.com's boards")
def monday_sync(
    run: Run,
    boards: Annotated[str, Help("ids of boards, with commas between; empty: all active boards")] = "",
    page_size: Annotated[int, Ge(1), Le(500), Help("items in a page")] = 100,
    monday_url: Annotated[str, Setting("MONDAY_URL"), Help("address of the API")] = "https://api.monday.com/v2",
    monday_api_version: Annotated[str, Setting("MONDAY_API_VERSION"), Help("version of the API")] = "2025-10",
    monday_token: Annotated[str, Secret("MONDAY_TOKEN"), Help("API token")] = "",
    http_timeout: AnswerTimeout = 60,
    longest_wait: LongestWait = 120,
    database_url: DatabaseUrl = "",
) -> Success:
    """Copy the items of the boards, page by page; items that are gone are marked as removed. A run that was stopped
    goes on at its page. Complexity budgets and rate limits are waited out up to LONGEST_WAIT, and beyond it left to the
    next attempt."""
    from job_queue.upstreams.monday_api import Monday
    from job_queue.upstreams.monday_sync import sync
    from scheduledtask_sdk.http import client

    if not monday_token:
        raise Misconfigured("MONDAY_TOKEN is not set; create a token in Monday.com under Developers, My access tokens")
    ids = [board.strip() for board in boards.split(",") if board.strip()]
    if wrong := [board for board in ids if not (board.isascii() and board.isdigit())]:
        raise InvalidInput(f"boards: {wrong[0]!r} is no id of a board, which is a number")
    headers = {"Authorization": monday_token, "API-Version": monday_api_version}
    with (
        _database(run, database_url) as engine,
        client(_address(monday_url, "MONDAY_URL"), timeout=http_timeout, headers=headers) as http,
    ):
        return sync(engine, run, Monday(http, run, longest_wait), list(dict.fromkeys(ids)), page_size)


@jobs.command("jira-refresh", "a copy of the issues that a JQL query finds")
def jira_refresh(
    run: Run,
    jql: Annotated[str, MinLen(1), Help("the query; Jira wants it bounded")] = "updated >= -30d ORDER BY updated ASC",
    fields: Annotated[
        str, Help("fields to keep beside summary, status and updated, with commas between")
    ] = "issuetype,priority,assignee,reporter,project,labels,created,resolution",
    page_size: Annotated[int, Ge(1), Le(5000), Help("issues in a page; Jira may give fewer")] = 100,
    jira_url: Annotated[str, Setting("JIRA_URL"), Help("address of the site, https://NAME.atlassian.net")] = "",
    jira_email: Annotated[str, Setting("JIRA_EMAIL"), Help("whose token it is")] = "",
    jira_token: Annotated[str, Secret("JIRA_TOKEN"), Help("API token")] = "",
    http_timeout: AnswerTimeout = 60,
    longest_wait: LongestWait = 120,
    database_url: DatabaseUrl = "",
) -> Success:
    """Copy the issues that the query finds, page by page; what it does not find any more is marked as removed. A run
    that was stopped goes on at its page."""
    from job_queue.upstreams.jira_refresh import refresh
    from scheduledtask_sdk.http import client

    for variable, value in (("JIRA_URL", jira_url), ("JIRA_EMAIL", jira_email), ("JIRA_TOKEN", jira_token)):
        if not value:
            raise Misconfigured(f"{variable} is not set; Jira is asked with e-mail and API token")
    wanted = [field.strip() for field in fields.split(",") if field.strip()]
    address = _address(jira_url, "JIRA_URL")
    with (
        _database(run, database_url) as engine,
        client(address, timeout=http_timeout, auth=(jira_email, jira_token)) as http,
    ):
        return refresh(engine, run, http, jql, wanted, page_size, longest_wait)


@jobs.command("bulk-import", "rows of a CSV, JSONL or XLSX file to records")
def bulk_import(
    run: Run,
    path: Annotated[str, Help("the file, below imports/")] = "",
    entity_type: Annotated[str, MinLen(1), Help("what the rows are, such as customer")] = "record",
    key: Annotated[str, MinLen(1), Help("column that tells the rows apart")] = "id",
    fields: Annotated[
        str,
        Help("kinds of columns, as in 'amount:number, opened:date!' (text, integer, number, boolean, date, moment)"),
    ] = "",
    on_error: Annotated[Literal["refuse", "skip"], Help("what a bad row means: refuse the file, or skip the row")] = (
        "refuse"
    ),
    most_errors: Annotated[int, Ge(0), Help("bad rows after which the file is refused in any case")] = 1000,
    delimiter: Annotated[str, Help("between the cells of a CSV: one character, or tab")] = ",",
    sheet: Annotated[str, Help("sheet of an XLSX; empty: the first")] = "",
    batch_size: Annotated[int, Ge(1), Le(5000), Help("rows in a transaction")] = 500,
    again: Annotated[bool, Help("import also what has been imported or refused before")] = False,
    data_root: DataRoot = Path("/data"),
    database_url: DatabaseUrl = "",
) -> Success:
    """Read the rows of a file, check them, and make records of them: all at once, at the end. Bad rows are kept with
    their line and the reason. A run that was stopped, however, is continued where it was. A file that is imported
    already is not imported again."""
    from job_queue.imports.bulk_import import Settings, bring_in
    from job_queue.imports.rows import Format

    if len(delimiter) != 1 and delimiter != "tab":
        raise InvalidInput(f"delimiter: {delimiter!r} is neither one character nor tab")
    settings = Settings(
        folder=data_root / "imports",
        path=path,
        entity_type=entity_type,
        format=Format(key, delimiter, sheet),
        fields=fields,
        on_error=on_error,
        most_errors=most_errors,
        batch=batch_size,
        again=again,
    )
    with _database(run, database_url) as engine:
        return bring_in(engine, run, settings)


@jobs.command("audit-cleanup", "delete what is older than it has to be kept")
def audit_cleanup(
    run: Run,
    keep_days: Annotated[int, Ge(0), Le(36_500), Help("days to keep what no other rule is about")] = 365,
    keep_days_by_kind: Annotated[str, Help("other days for some kinds, as in 'import=730, jira=never'")] = "",
    batch_size: Annotated[int, Ge(1), Le(10_000), Help("rows in a transaction")] = 1000,
    dry_run: Annotated[bool, Help("only count what would go")] = False,
    database_url: DatabaseUrl = "",
) -> Success:
    """Delete old audit events (kinds document, embedding, monday, jira, import, cleanup) and old imports with their bad
    rows (kind imports). Records, documents and copies stay."""
    from job_queue.audit_cleanup import clean, retention

    days = retention(keep_days, keep_days_by_kind)
    with _database(run, database_url) as engine:
        return clean(engine, run, days, batch_size, dry_run)


@contextmanager
def _database(run: Run, url: str) -> Iterator[sa.Engine]:
    from scheduledtask_sdk.storage import open_database

    with open_database("job_queue", url, "job_queue.migrations", run) as engine:
        yield engine


def _address(text: str, variable: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise Misconfigured(f"{variable}: {text!r} is not an address such as https://example.com")
    return text.rstrip("/")


def main() -> int:
    """Run the command that the arguments name, and return its exit code."""
    return jobs.main()
