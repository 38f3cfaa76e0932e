"""What both databases say in words of their own, and text that both can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase

Row = Mapping[str, Any]
Item = TypeVar("Item")


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def reading(engine: sa.Engine) -> sa.Connection:
    """A connection to read by: on SQLite it waits for no writer, and none for it."""
    return engine.execution_options(read_only=True).connect()


def upsert(
    connection: sa.Connection, model: type[DeclarativeBase], rows: Sequence[Row], keep: Iterable[str] = ()
) -> None:
    """Insert the rows; where one with that primary key is there, replace its values, but for the columns in `keep`."""
    if not rows:
        return
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)
    keys = [column.name for column in table.primary_key]
    kept = {*keys, *keep}
    values = {name: insert.excluded[name] for name in rows[0] if name not in kept}
    if values:
        statement = insert.on_conflict_do_update(index_elements=keys, set_=values)
    else:
        statement = insert.on_conflict_do_nothing(index_elements=keys)
    connection.execute(statement, list(rows))


def storable(value: Any) -> Any:
    """JSON data in which no text holds what PostgreSQL refuses: NUL, and halves of surrogate pairs."""
    match value:
        case str():
            return value.replace("\0", "").encode(errors="replace").decode()
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list():
            return [storable(item) for item in value]
        case _:
            return value


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
