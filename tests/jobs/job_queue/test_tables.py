"""The migrations make the tables that the models describe."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from job_queue.cli import audit_cleanup
from job_queue.tables import Base
from tests.jobs.job_queue.conftest import Queue


def test_migrations_and_models_agree(queue: Queue) -> None:
    queue.call(audit_cleanup)
    engine = sa.create_engine(queue.url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        options = {"version_table": "job_queue_version", "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
