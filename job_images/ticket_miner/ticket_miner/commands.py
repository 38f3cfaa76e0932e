"""The four commands, with their parameters and settings."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le

from scheduledtask_sdk import Help, Jobs, Run, Secret, Setting, Success
from scheduledtask_sdk.failures import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import Engine

jobs = Jobs(
    "ticket-miner",
    "Support tickets synced from Zendesk, classified by Claude, and grouped into issues with trends.",
    epilog="""\
The database is PostgreSQL where DATABASE_URL says so, else the file $DATA_ROOT/ticket_miner.sqlite. The report is
$DATA_ROOT/reports/trends.html. Commands must not run at once on one database: put them into one concurrency group.""",
)

DataRoot = Annotated[str, Setting("DATA_ROOT"), Help("folder of the SQLite file and of the report")]
DatabaseUrl = Annotated[str, Secret("DATABASE_URL"), Help("postgresql://…; empty: SQLite below DATA_ROOT")]
BackfillDays = Annotated[
    int, Ge(0), Le(3650), Help("days that the database is to reach back; what it has is not fetched again")
]
ZendeskUrl = Annotated[str, Setting("ZENDESK_URL"), Help("the account, such as https://example.zendesk.com")]
ZendeskEmail = Annotated[
    str,
    Setting("ZENDESK_EMAIL"),
    Help("the agent whom an API token belongs to; empty: ZENDESK_TOKEN is an OAuth token"),
]
ZendeskToken = Annotated[str, Secret("ZENDESK_TOKEN"), Help("API token or OAuth token")]
ZendeskPageSize = Annotated[int, Ge(1), Le(1000), Setting("ZENDESK_PAGE_SIZE"), Help("tickets of one page")]
ZendeskTimeout = Annotated[float, Gt(0), Setting("ZENDESK_TIMEOUT"), Help("seconds that one answer may take")]
ZendeskLongestWait = Annotated[
    float, Ge(0), Setting("ZENDESK_LONGEST_WAIT"), Help("seconds that a Retry-After may make one page wait")
]
BatchSize = Annotated[int, Ge(0), Help("tickets to analyze at most; 0: all")]
AnthropicUrl = Annotated[str, Setting("ANTHROPIC_BASE_URL"), Help("the Messages API, without /v1")]
AnthropicKey = Annotated[str, Secret("ANTHROPIC_API_KEY"), Help("API key")]
AnthropicModel = Annotated[str, Setting("ANTHROPIC_MODEL"), Help("the model that classifies")]
AnthropicTimeout = Annotated[float, Gt(0), Setting("ANTHROPIC_TIMEOUT"), Help("seconds that one answer may take")]
AnthropicLongestWait = Annotated[
    float, Ge(0), Setting("ANTHROPIC_LONGEST_WAIT"), Help("seconds that a Retry-After may make one request wait")
]
Concurrency = Annotated[int, Ge(1), Le(64), Setting("ANALYZE_CONCURRENCY"), Help("requests under way at once")]
DailyTokens = Annotated[
    int,
    Ge(0),
    Setting("ANALYZE_DAILY_TOKENS"),
    Help("tokens that all runs of a day (UTC) may use together; 0: no bound"),
]
WindowDays = Annotated[int, Ge(1), Setting("TRENDS_WINDOW_DAYS"), Help("days back from which tickets are grouped")]
MostTickets = Annotated[int, Ge(10), Setting("TRENDS_MOST_TICKETS"), Help("tickets to group at most, the newest")]
SmallestIssue = Annotated[int, Ge(2), Setting("TRENDS_SMALLEST_ISSUE"), Help("tickets that make an issue")]

MODEL = "claude-haiku-4-5"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an API is, and how patient to be with it; `name` is the Zendesk agent or the model."""

    url: str
    name: str
    secret: str
    timeout: float
    longest_wait: float


@jobs.command("sync", "tickets from Zendesk")
def sync(
    run: Run,
    *,
    backfill_days: BackfillDays = 1,
    zendesk_url: ZendeskUrl,
    zendesk_email: ZendeskEmail = "",
    zendesk_token: ZendeskToken,
    zendesk_page_size: ZendeskPageSize = 250,
    zendesk_timeout: ZendeskTimeout = 60,
    zendesk_longest_wait: ZendeskLongestWait = 120,
    database_url: DatabaseUrl = "",
) -> Success:
    """Take in the tickets that were opened, changed or deleted since the last run, by Zendesk's incremental export.

    The first run goes BACKFILL_DAYS back. Later ones go on where the one before came to; one that asks for more days
    than the database has begins again from there. Ten tickets are committed together with the place in the export: a
    killed run loses no more, and the next one continues.
    """
    zendesk = Upstream(zendesk_url, zendesk_email, zendesk_token, zendesk_timeout, zendesk_longest_wait)
    with _database(run, database_url) as engine:
        return _sync(engine, run, zendesk, zendesk_page_size, backfill_days)


@jobs.command("analyze", "what each ticket is about, by Claude")
def analyze(
    run: Run,
    *,
    batch_size: BatchSize = 500,
    anthropic_url: AnthropicUrl = "https://api.anthropic.com",
    anthropic_key: AnthropicKey,
    anthropic_model: AnthropicModel = MODEL,
    anthropic_timeout: AnthropicTimeout = 60,
    anthropic_longest_wait: AnthropicLongestWait = 60,
    concurrency: Concurrency = 4,
    daily_tokens: DailyTokens = 5_000_000,
    database_url: DatabaseUrl = "",
) -> Success:
    """Classify tickets whose text is new or changed, the longest waiting first, through the Messages API.

    An answer that is not what was asked for is asked for once more; then the ticket is set aside with the reason until
    its text changes. No request is sent that could go beyond the day's tokens: the run then ends well, and says so.
    """
    claude = Upstream(anthropic_url, anthropic_model, anthropic_key, anthropic_timeout, anthropic_longest_wait)
    with _database(run, database_url) as engine:
        return _analyze(engine, run, claude, batch_size, concurrency, daily_tokens)


@jobs.command("trends", "issues that many tickets tell of, and how they grow")
def trends(
    run: Run,
    *,
    window_days: WindowDays = 90,
    most_tickets: MostTickets = 20_000,
    smallest_issue: SmallestIssue = 5,
    data_root: DataRoot = "/data",
    database_url: DatabaseUrl = "",
) -> Success:
    """Group the analyzed tickets that tell of faults of the product, know the issues of earlier runs again, and write
    them with their figures to the database and to a report.

    An issue keeps its number while tickets come and go, and also when it returns after months.
    """
    with _database(run, database_url) as engine:
        return _trends(engine, run, (window_days, most_tickets, smallest_issue), data_root)


@jobs.command("pipeline", "sync, analyze and trends, one after the other")
def pipeline(
    run: Run,
    *,
    backfill_days: BackfillDays = 1,
    batch_size: BatchSize = 500,
    zendesk_url: ZendeskUrl,
    zendesk_email: ZendeskEmail = "",
    zendesk_token: ZendeskToken,
    zendesk_page_size: ZendeskPageSize = 250,
    zendesk_timeout: ZendeskTimeout = 60,
    zendesk_longest_wait: ZendeskLongestWait = 120,
    anthropic_url: AnthropicUrl = "https://api.anthropic.com",
    anthropic_key: AnthropicKey,
    anthropic_model: AnthropicModel = MODEL,
    anthropic_timeout: AnthropicTimeout = 60,
    anthropic_longest_wait: AnthropicLongestWait = 60,
    concurrency: Concurrency = 4,
    daily_tokens: DailyTokens = 5_000_000,
    window_days: WindowDays = 90,
    most_tickets: MostTickets = 20_000,
    smallest_issue: SmallestIssue = 5,
    data_root: DataRoot = "/data",
    database_url: DatabaseUrl = "",
) -> Success:
    """The three commands in turn. A failure of one ends the run; the next attempt finds what was done, and goes on."""
    zendesk = Upstream(zendesk_url, zendesk_email, zendesk_token, zendesk_timeout, zendesk_longest_wait)
    claude = Upstream(anthropic_url, anthropic_model, anthropic_key, anthropic_timeout, anthropic_longest_wait)
    with _database(run, database_url) as engine:
        run.progress("Step 1 of 3: sync", 0, 3)
        synced = _sync(engine, run, zendesk, zendesk_page_size, backfill_days)
        run.progress("Step 2 of 3: analyze", 1, 3)
        analyzed = _analyze(engine, run, claude, batch_size, concurrency, daily_tokens)
        run.progress("Step 3 of 3: trends", 2, 3)
        found = _trends(engine, run, (window_days, most_tickets, smallest_issue), data_root)
        run.progress("Pipeline done", 3, 3)
    return Success(
        f"{synced.message}; {analyzed.message}; {found.message}",
        {"sync": synced.result, "analyze": analyzed.result, "trends": found.result},
    )


def _sync(engine: Engine, run: Run, upstream: Upstream, page_size: int, backfill_days: int) -> Success:
    from scheduledtask_sdk import http, keep_secret
    from ticket_miner import sync as work
    from ticket_miner.zendesk import Zendesk, authorization

    headers = {"Authorization": authorization(upstream.name, upstream.secret)}
    keep_secret(headers["Authorization"].partition(" ")[2])
    url = _address("ZENDESK_URL", upstream.url)
    with http.client(url, timeout=upstream.timeout, headers=headers, user_agent="ticket-miner") as client:
        zendesk = Zendesk(client, page_size, upstream.longest_wait)
        counts, tickets = work.sync_tickets(engine, zendesk, url, backfill_days, datetime.now(UTC), run)
    return Success(work.said(counts, tickets), work.result_of(counts, tickets))


def _analyze(
    engine: Engine, run: Run, upstream: Upstream, batch_size: int, concurrency: int, daily_tokens: int
) -> Success:
    from ticket_miner import analyze as work
    from ticket_miner.claude import Claude

    url = _address("ANTHROPIC_BASE_URL", upstream.url)
    claude = Claude(url, upstream.secret, upstream.name, upstream.timeout)
    limits = work.Limits(batch_size, concurrency, daily_tokens, upstream.longest_wait)
    done = work.analyze_tickets(engine, claude, limits, datetime.now(UTC).date(), run)
    return Success(work.said(done), asdict(done))


def _trends(engine: Engine, run: Run, scope: tuple[int, int, int], data_root: str) -> Success:
    from ticket_miner import trends as work
    from ticket_miner.report import write_report

    now = datetime.now(UTC)
    run.progress("Grouping tickets into issues")
    found = work.update_trends(engine, work.Scope(*scope), now, run)
    report = Path(data_root) / "reports" / "trends.html"
    write_report(engine, report, now)
    return Success(work.said(found), {**asdict(found), "report": str(report)})


def _database(run: Run, url: str) -> AbstractContextManager[Engine]:
    from scheduledtask_sdk.storage import open_database

    return open_database("ticket_miner", url, "ticket_miner.migrations", run)


def _address(name: str, text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise Misconfigured(f"{name}: {text!r} is not an address such as https://example.zendesk.com")
    return text.rstrip("/")


def main() -> int:
    """Run the command that the process's arguments name, and return its exit code."""
    return jobs.main()
