"""The command line: ``source-monitor COMMAND``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le

from scheduledtask_sdk import Help, Jobs, Run, Secret, Setting, Success
from scheduledtask_sdk.failures import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Engine

_EPILOG = """\
A source is an address with a kind (html, feed, pdf), a name, and how often it is checked: daily, weekly, or five cron
fields in UTC, such as '0 6 * * 1'; the daily fetch looks at those that are due since they were last read. It is
recorded how each text changed; markup, menus, adverts, times of day, counters and moved paragraphs are no change.

How a source is read, and which changes are told, can be said for each (JSON, as --reading and --alerts, or in a file):
  reading  {"select": "XPath", "drop": ["XPath", …], "ignore": ["regular expression of lines", …]}
  alerts   {"minimum_words": 5, "any_of": ["refund", …], "none_of": […], "webhook": true, "email": true,
            "email_to": ["legal@example.com", …]}

Begin: source-monitor sources add --url https://example.com/terms --kind html --name "Terms of Example"
       source-monitor daily-fetch
"""

jobs = Jobs("source-monitor", "Pages, feeds and PDF files watched for changes that matter to a reader.", epilog=_EPILOG)

Database = Annotated[str, Secret("DATABASE_URL"), Help("postgresql://…; unset: a SQLite file in DATA_ROOT")]
Number = Annotated[int, Ge(0)]
Seconds = Annotated[float, Ge(0), Le(3600)]


@contextmanager
def _database(run: Run, url: str) -> Iterator[Engine]:
    from scheduledtask_sdk.storage import open_database

    with open_database("source_monitor", url, "source_monitor.migrations", run) as engine:
        yield engine


@jobs.command("daily-fetch", "fetch the sources that are due, record changes, send alerts")
def daily_fetch(
    run: Run,
    force: Annotated[bool, Help("fetch all active sources, due or not")] = False,
    source: Annotated[Number, Help("fetch this source alone; 0: all")] = 0,
    database_url: Database = "",
    user_agent: Annotated[
        str, Setting("USER_AGENT"), Help("how servers are told who asks; a contact address is good manners")
    ] = "source-monitor/0.1",
    hosts: Annotated[int, Ge(1), Le(64), Setting("FETCH_HOSTS"), Help("hosts that are asked side by side")] = 8,
    host_pause: Annotated[Seconds, Setting("FETCH_HOST_PAUSE"), Help("seconds between two requests to a host")] = 1.0,
    timeout: Annotated[float, Gt(0), Le(3600), Setting("FETCH_TIMEOUT"), Help("seconds for one whole answer")] = 60.0,
    size_limit: Annotated[
        float, Gt(0), Le(200), Setting("FETCH_SIZE_LIMIT"), Help("MiB that a document may have, unpacked")
    ] = 10.0,
    longest_wait: Annotated[
        Seconds, Setting("FETCH_LONGEST_WAIT"), Help("seconds that a Retry-After may make a host's sources wait")
    ] = 30.0,
    retry_pause: Annotated[
        Seconds, Setting("FETCH_RETRY_PAUSE"), Help("seconds before a source that failed in passing is tried again")
    ] = 20.0,
    internal_networks: Annotated[
        str,
        Setting("ALLOWED_INTERNAL_NETWORKS"),
        Help("internal networks that sources may lead to, such as 10.1.0.0/16; empty: none, the internet alone"),
    ] = "",
    versions_kept: Annotated[int, Ge(1), Setting("VERSIONS_KEPT"), Help("texts kept of each source")] = 30,
    alert_webhook_url: Annotated[
        str, Secret("ALERT_WEBHOOK_URL"), Help("where changes are posted; unset: nowhere")
    ] = "",
    alert_webhook_secret: Annotated[
        str, Secret("ALERT_WEBHOOK_SECRET"), Help("whsec_…, by which receivers know the sender; unset: not signed")
    ] = "",
    alert_email_to: Annotated[
        tuple[str, ...], Setting("ALERT_EMAIL_TO"), Help("who is told by e-mail, with commas between")
    ] = (),
    alert_email_from: Annotated[str, Setting("ALERT_EMAIL_FROM"), Help("the sender's address")] = "",
    alert_retry_pause: Annotated[
        Seconds, Setting("ALERT_RETRY_PAUSE"), Help("seconds before an alert is tried again")
    ] = 5.0,
    smtp_host: Annotated[str, Setting("SMTP_HOST"), Help("the mail server; empty: no e-mail")] = "",
    smtp_port: Annotated[int, Ge(0), Le(65535), Setting("SMTP_PORT"), Help("0: 587, 465 or 25, by SMTP_SECURITY")] = 0,
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"], Setting("SMTP_SECURITY"), Help("starttls, tls or none")
    ] = "starttls",
    smtp_user: Annotated[str, Secret("SMTP_USER"), Help("empty: without login")] = "",
    smtp_password: Annotated[str, Secret("SMTP_PASSWORD"), Help("the user's password")] = "",
) -> Success:
    """Fetch every active source that is due, and compare its text with the last version. A change is recorded together
    with the alerts to send; what is not delivered is sent by later runs, for two weeks, under the same id.

    One source's failure never stops the others: the job fails only when all sources failed, and asks for another
    attempt when all of those failures may pass. Another attempt of a run does what the earlier ones left undone.
    """
    from source_monitor.daily_fetch import Round, summary
    from source_monitor.daily_fetch import daily_fetch as fetch
    from source_monitor.delivery import send_outstanding
    from source_monitor.settings import AlertSettings, FetchSettings

    alerts = AlertSettings(
        alert_webhook_url, alert_webhook_secret, alert_email_to, alert_email_from,
        smtp_host, smtp_port, smtp_security, smtp_user, smtp_password,
    )  # fmt: skip
    channels = alerts.channels()
    around = Round(alerts.receivers(), versions_kept, force, source)
    crew = FetchSettings(
        user_agent, hosts, host_pause, timeout, size_limit, longest_wait, retry_pause, internal_networks
    ).crew(run)
    with _database(run, database_url) as engine:
        result = fetch(
            run, engine, crew, around, lambda name: send_outstanding(run, engine, name, channels, alert_retry_pause)
        )
    return Success(summary(result), result)


@jobs.command("sources-list", "the sources and how they stand (also: sources list)")
def sources_list(run: Run, database_url: Database = "") -> Success:
    """Print a line for each source: id, whether active, kind, frequency, versions, last success, name, address, and
    the last error of those that fail."""
    from source_monitor import tables

    with _database(run, database_url) as engine:
        rows = tables.sources(engine)
    print(tables.aligned(rows))
    return Success(f"{len(rows) - 1} sources", {"sources": len(rows) - 1})


@jobs.command("sources-add", "add a source, or change one (also: sources add)")
def sources_add(
    run: Run,
    url: Annotated[str, Help("address; the source of an address that is known is changed")],
    kind: Annotated[Literal["html", "feed", "pdf"] | None, Help("html, feed or pdf")] = None,
    name: Annotated[str | None, Help("how people call it; by default its address")] = None,
    check_frequency: Annotated[str | None, Help("daily, weekly, or five cron fields; by default daily")] = None,
    active: Annotated[bool | None, Help("whether it is fetched")] = None,
    reading: Annotated[str | None, Help("how it is read, as JSON; see source-monitor --help")] = None,
    alerts: Annotated[str | None, Help("which changes are told, as JSON; see source-monitor --help")] = None,
    database_url: Database = "",
) -> Success:
    """Add a source, or change what is given of the one with this address."""
    from source_monitor import sources

    given = {
        "url": url, "kind": kind, "name": name, "check_frequency": check_frequency,
        "active": active, "reading": reading, "alerts": alerts,
    }  # fmt: skip
    try:
        entry = sources.Entry.of({field: value for field, value in given.items() if value is not None})
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    with _database(run, database_url) as engine, run.held():
        counts = sources.store(engine, [entry])
    done = next(what for what, count in counts.items() if count)
    return Success(f"{entry.url} {done}", counts)


@jobs.command("sources-import", "add and change sources from a file (also: sources import)")
def sources_import(
    run: Run,
    file: Annotated[Path, Help("CSV with a header, JSON Lines (.jsonl), or a JSON list")],
    database_url: Database = "",
) -> Success:
    """Add the file's sources, and change those whose address is known; all of the file, or nothing when a row is wrong.
    Fields: url, kind, name, check_frequency, active, reading, alerts. Sources that the file does not name stay."""
    from source_monitor import sources

    entries = sources.read_file(file)
    with _database(run, database_url) as engine, run.held():
        counts = sources.store(engine, entries)
    return Success("{added} sources added, {updated} changed, {unchanged} as they were".format_map(counts), counts)


@jobs.command("sources-remove", "remove a source and all that is known of it (also: sources remove)")
def sources_remove(
    run: Run, source: Annotated[int, Ge(1), Help("its id, as sources list shows it")], database_url: Database = ""
) -> Success:
    """Remove a source with its versions, changes and alerts. To keep those: sources add --url … --active false."""
    from source_monitor import sources

    with _database(run, database_url) as engine, run.held():
        name = sources.remove(engine, source)
    return Success(f"source {source} ({name}) removed", {"source": source})


@jobs.command("changes-list", "the latest changes (also: changes list)")
def changes_list(
    run: Run,
    source: Annotated[Number, Help("of this source alone; 0: of all")] = 0,
    limit: Annotated[int, Ge(1), Le(10_000), Help("so many")] = 50,
    database_url: Database = "",
) -> Success:
    """Print a line for each change, the latest first: id, time, source, words new and gone, and who was told."""
    from source_monitor import tables

    with _database(run, database_url) as engine:
        rows = tables.changes(engine, source, limit)
    print(tables.aligned(rows))
    return Success(f"{len(rows) - 1} changes", {"changes": len(rows) - 1})


@jobs.command("changes-show", "what changed, in full (also: changes show)")
def changes_show(
    run: Run, change: Annotated[int, Ge(1), Help("its id, as changes list shows it")], database_url: Database = ""
) -> Success:
    """Print the account of one change: gone (-), new (+) and edited (~) paragraphs below the lines they stood under."""
    from source_monitor import tables

    with _database(run, database_url) as engine:
        print(tables.account(engine, change))
    return Success(f"change {change}", {"change": change})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. ``sources list`` is ``sources-list``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["sources"], ["changes"]) and len(given) > 1 and not given[1].startswith("-"):
        given[:2] = [f"{given[0]}-{given[1]}"]
    return jobs.main(given)
