"""The report: one HTML file that needs no other, with plots as SVG."""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pygal
from pygal.style import Style
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import Session

from ticket_miner.models import Issue, IssueDay, Ticket
from ticket_miner.storage import reading

SHOWN = 50
PLOTTED = 6
PLOTTED_DAYS = 30

_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)

_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Issues in support tickets</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }}
.n {{ text-align: right; font-variant-numeric: tabular-nums }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 1rem }}
small {{ color: #666 }}
</style></head><body>
<h1>Issues in support tickets</h1>
<p>{summary}</p>
<div class="plots">
{plots}
</div>
<table><thead><tr><th class="n">#</th><th>Issue</th><th>Area</th><th>Severity</th><th class="n">Tickets</th>
<th class="n">Last 7 days</th><th class="n">7 days before</th><th class="n">Growth</th><th>First seen</th>
<th>Last seen</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</body></html>
"""

_ROW = """\
<tr><td class="n">{id}</td><td>{title}<br><small>{examples}</small></td><td>{area}</td><td>{severity}</td>
<td class="n">{tickets}</td><td class="n">{recent}</td><td class="n">{previous}</td><td class="n">{growth}</td>
<td>{first}</td><td>{last}</td></tr>"""


def write_report(engine: Engine, path: Path, now: datetime) -> None:
    """Write the issues that the last clustering found, those with most tickets lately first."""
    with reading(engine) as connection, Session(connection) as session:
        total = session.scalar(select(func.count()).where(Issue.active)) or 0
        lately_first = (Issue.recent.desc(), Issue.tickets.desc(), Issue.id)
        issues = session.scalars(select(Issue).where(Issue.active).order_by(*lately_first).limit(SHOWN)).all()
        subjects = _subjects(connection, issues)
        days = _days(connection, [issue.id for issue in issues[:PLOTTED]], now.date())
    page = _PAGE.format(
        summary=f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {total} issues"
        + (f", of which the {SHOWN} with most tickets in the last 7 days" if total > SHOWN else ""),
        plots="\n".join([_lately(issues), _by_day(issues[:PLOTTED], days, now.date())]) if issues else "",
        rows="\n".join(_row(issue, subjects) for issue in issues),
    )
    _write_atomically(path, page)


def _subjects(connection: Connection, issues: Sequence[Issue]) -> dict[int, str]:
    shown = {ticket for issue in issues for ticket in issue.representatives}
    return dict(connection.execute(select(Ticket.id, Ticket.subject).where(Ticket.id.in_(shown))).tuples().all())


def _days(connection: Connection, issues: Sequence[int], today: date) -> Mapping[int, Mapping[date, int]]:
    first = today - timedelta(days=PLOTTED_DAYS - 1)
    days: defaultdict[int, dict[date, int]] = defaultdict(dict)
    query = select(IssueDay.issue_id, IssueDay.day, IssueDay.tickets)
    for issue, day, tickets in connection.execute(
        query.where(IssueDay.issue_id.in_(issues), IssueDay.day >= first)
    ).tuples():
        days[issue][day] = tickets
    return days


def _row(issue: Issue, subjects: Mapping[int, str]) -> str:
    examples = [f"#{ticket} {_short(subjects[ticket], 80)}" for ticket in issue.representatives if ticket in subjects]
    return _ROW.format(
        id=issue.id,
        title=escape(issue.title),
        examples=escape(" · ".join(examples)),
        area=escape(issue.product_area),
        severity=escape(issue.severity),
        tickets=issue.tickets,
        recent=issue.recent,
        previous=issue.previous,
        growth="new" if issue.growth is None else f"{issue.growth:+.0%}",
        first=f"{issue.first_seen:%Y-%m-%d}",
        last=f"{issue.last_seen:%Y-%m-%d}",
    )


def _lately(issues: Sequence[Issue]) -> str:
    chart = pygal.HorizontalBar(title="Tickets of the last 7 days and of the 7 before", **_plain())
    listed = list(reversed(issues[:10]))
    chart.x_labels = [_short(f"{issue.id}: {issue.title}", 40) for issue in listed]
    chart.add("last 7 days", [issue.recent for issue in listed])
    chart.add("7 days before", [issue.previous for issue in listed])
    return _svg(chart)


def _by_day(issues: Sequence[Issue], days: Mapping[int, Mapping[date, int]], today: date) -> str:
    shown = [today - timedelta(days=back) for back in reversed(range(PLOTTED_DAYS))]
    chart = pygal.Line(
        title="Tickets by day", x_labels_major_every=7, show_minor_x_labels=False, show_dots=False, **_plain()
    )
    chart.x_labels = [f"{day:%b %d}" for day in shown]
    for issue in issues:
        chart.add(_short(f"{issue.id}: {issue.title}", 40), [days[issue.id].get(day, 0) for day in shown])
    return _svg(chart)


def _plain() -> dict[str, Any]:
    style = Style(background="transparent", plot_background="transparent", font_family="sans-serif")
    # Without scripts, see _svg: pygal would have the reader's browser load them from elsewhere.
    return {"js": (), "style": style, "width": 720, "height": 420, "legend_at_bottom": True, "truncate_legend": -1}


def _svg(chart: Any) -> str:
    svg: str = chart.render(is_unicode=True, disable_xml_declaration=True)
    return _SCRIPT.sub("", svg)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _write_atomically(path: Path, text: str) -> None:
    """A reader finds the old report or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
