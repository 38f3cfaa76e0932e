"""source_monitor: a stand-in for the servers of a page, a feed and a PDF file."""

from __future__ import annotations

import json

from tests.demo.system import Ask, StandIn, System

_SOURCES = [
    {"url": "{url}/terms", "kind": "html", "name": "Terms", "check_frequency": "daily"},
    {"url": "{url}/news.xml", "kind": "feed", "name": "News", "check_frequency": "daily"},
    {"url": "{url}/notice.pdf", "kind": "pdf", "name": "Notice", "check_frequency": "weekly"},
]

SOURCE_MONITOR = System(
    folder="source_monitor",
    asks=((Ask("import-sources"),), (Ask("daily-fetch"),)),
    stand_ins=(
        StandIn(
            name="pages-stand-in",
            program="watched_pages.py",
            settings={
                # A cluster's own addresses are refused otherwise.
                "source-monitor": {"ALLOWED_INTERNAL_NETWORKS": "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"},
                "source-monitor-sources": {"sources.json": json.dumps(_SOURCES)},
            },
        ),
    ),
)
