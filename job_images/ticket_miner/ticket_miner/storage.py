"""What SQLite and PostgreSQL say in different words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

from ticket_miner.models import Base


def upsert(connection: Connection, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, or change those whose key is there already. Each row names every column."""
    if not rows:
        return
    table = cast(Table, model.__table__)
    insert = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    key = [column.name for column in table.primary_key]
    new = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in key}
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=new), list(rows))


def reading(engine: Engine) -> Connection:
    """A connection that only reads: on SQLite, beside one that writes."""
    return engine.execution_options(read_only=True).connect()
