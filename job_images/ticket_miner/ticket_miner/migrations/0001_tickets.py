"""Tickets, what the model says of them, and issues."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "miner_tickets",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("priority", sa.String),
        sa.Column("kind", sa.String),
        sa.Column("channel", sa.String),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("organization_id", sa.BigInteger),
        sa.Column("requester_id", sa.BigInteger),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generated_timestamp", sa.BigInteger, nullable=False),
        sa.Column("content_digest", sa.String, nullable=False),
    )
    op.create_table(
        "miner_export_positions",
        sa.Column("account", sa.String, primary_key=True),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.String),
    )
    op.create_table(
        "miner_analyses",
        _ticket_id(),
        sa.Column("content_digest", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("product_area", sa.String, nullable=False),
        sa.Column("issue", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("sentiment", sa.String, nullable=False),
        sa.Column("product_issue", sa.Boolean, nullable=False),
    )
    op.create_table(
        "miner_set_asides",
        _ticket_id(),
        sa.Column("content_digest", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
    )
    op.create_table(
        "miner_spendings",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "miner_issues",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("product_area", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("tickets", sa.Integer, nullable=False),
        sa.Column("recent", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer, nullable=False),
        sa.Column("growth", sa.Float),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("representatives", sa.JSON, nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
    )
    op.create_table(
        "miner_issue_tickets",
        _ticket_id(),
        sa.Column("issue_id", sa.Integer, sa.ForeignKey("miner_issues.id"), nullable=False),
    )
    op.create_index("miner_issue_tickets_by_issue", "miner_issue_tickets", ["issue_id"])
    op.create_table(
        "miner_issue_days",
        sa.Column("issue_id", sa.Integer, sa.ForeignKey("miner_issues.id"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("tickets", sa.Integer, nullable=False),
    )


def _ticket_id() -> sa.Column[int]:
    return sa.Column(
        "ticket_id", sa.BigInteger, sa.ForeignKey("miner_tickets.id", ondelete="CASCADE"), primary_key=True
    )
