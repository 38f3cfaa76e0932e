"""ticket_miner: stand-ins for Zendesk with some months of tickets, and for Anthropic's Messages API."""

from __future__ import annotations

from tests.demo.system import Ask, StandIn, System

TOKEN, KEY = "zd-of-the-stand-in", "sk-ant-of-the-stand-in"
TICKETS = 300

TICKET_MINER = System(
    folder="ticket_miner",
    # One group: they exclude each other. Trends want analyzed tickets.
    asks=(
        (Ask("daily-sync", {"backfill_days": 90}),),
        (Ask("analyze"), Ask("hourly-trends")),
        (Ask("full-pipeline", {"backfill_days": 90}),),
    ),
    stand_ins=(
        StandIn(
            name="zendesk-stand-in",
            program="zendesk.py",
            arguments=("--token", TOKEN, "--tickets", str(TICKETS)),
            settings={"ticket-miner": {"ZENDESK_URL": "{url}"}},
            secrets={"zendesk": {"ZENDESK_TOKEN": TOKEN}},
        ),
        StandIn(
            name="anthropic-stand-in",
            program="anthropic_messages.py",
            arguments=("--key", KEY),
            settings={"ticket-miner": {"ANTHROPIC_BASE_URL": "{url}"}},
            secrets={"anthropic": {"ANTHROPIC_API_KEY": KEY}},
        ),
    ),
)
