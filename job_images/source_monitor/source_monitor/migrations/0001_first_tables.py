"""Sources, their versions and changes, alerts, and what came of each run."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("url", sa.String(2000), nullable=False, unique=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("check_frequency", sa.String(100), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("reading", sa.JSON, nullable=False),
        sa.Column("alerts", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("mark", sa.String(16), nullable=False),
        sa.Column("etag", sa.String(500), nullable=False),
        sa.Column("last_modified", sa.String(100), nullable=False),
        sa.Column("last_success_at", _TIME),
        sa.Column("last_failure_at", _TIME),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("consecutive_failures", sa.Integer, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("source_id", sa.Integer, sa.ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fetched_at", _TIME, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source_id", sa.Integer, sa.ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("run", sa.String(253), nullable=False, index=True),
        sa.Column("detected_at", _TIME, nullable=False),
        sa.Column("words_removed", sa.Integer, nullable=False),
        sa.Column("words_added", sa.Integer, nullable=False),
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("untold", sa.String(200), nullable=False),
        sa.UniqueConstraint("source_id", "number"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("change_id", sa.Integer, sa.ForeignKey("changes.id", ondelete="CASCADE"), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("outstanding", sa.Boolean, nullable=False, index=True),
        sa.Column("delivered_at", _TIME),
        sa.Column("delivered_by", sa.String(253), nullable=False, index=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.UniqueConstraint("change_id", "channel", "recipient"),
    )
    op.create_table(
        "fetch_runs",
        sa.Column("name", sa.String(253), primary_key=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("completed_at", _TIME),
    )
    op.create_table(
        "checks",
        sa.Column("run", sa.String(253), sa.ForeignKey("fetch_runs.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("source_id", sa.Integer, sa.ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("checked_at", _TIME, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("failure", sa.String(40), nullable=False),
        sa.Column("retryable", sa.Boolean, nullable=False),
    )
