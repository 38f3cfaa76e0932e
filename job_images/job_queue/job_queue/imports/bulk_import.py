"""bulk-import: rows of a file become records, all of them at once.

Good rows wait in ``import_rows``, bad ones are kept with line and reason; batch by batch, each with the line that has
been reached, in one transaction. At the end one transaction takes the waiting rows over as records, or refuses the
import; until then nobody sees any of them. A run killed anywhere is continued by the next behind the last batch. The
same file under the same rules is the same import: once finished it is not repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from job_queue import audit
from job_queue.database import now, reading, upsert
from job_queue.documents import files
from job_queue.imports.fields import BadRow, Field, checked, parse_fields
from job_queue.imports.rows import Format, Line, kind_of, rows
from job_queue.tables import Import, ImportFault, ImportRow, Record
from scheduledtask_sdk import Run, Success
from scheduledtask_sdk.failures import InvalidInput, MissingInput, Unavailable

_BATCH_CHARACTERS = 4_000_000
_LISTED = 20

OnError = Literal["refuse", "skip"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`path`: the file, below `folder`. `on_error`: ``refuse`` the whole file for a bad row, or ``skip`` it.
    `most_errors`: bad rows after which the file is refused in any case. `again`: also when it is finished already."""

    folder: Path
    path: str
    entity_type: str
    format: Format
    fields: str
    on_error: OnError
    most_errors: int
    batch: int
    again: bool


def bring_in(engine: sa.Engine, run: Run, settings: Settings) -> Success:
    """Import the file. Raises MissingInput, InvalidInput (refused, with the first bad rows), and Unavailable where
    another run imports the same file."""
    file, fields = _checked(settings)
    key = _key(file, settings)
    _begin(engine, settings, key)
    state = _state(engine, key)
    if state.status == "reading":
        _read(engine, run, settings, key, file, fields, state)
        _end(engine, run, settings, key)
        state = _state(engine, key)
    else:
        run.log.info("already dealt with", path=settings.path, status=state.status)
    return _told(engine, settings, key, state)


def _checked(settings: Settings) -> tuple[Path, tuple[Field, ...]]:
    if not settings.path:
        raise InvalidInput("path: is empty; name a file below the imports folder")
    file = settings.folder / settings.path
    if not files.is_below(settings.folder, file):
        raise InvalidInput(f"path: {settings.path!r} leads out of {settings.folder}; name a file below it")
    kind_of(settings.path)
    if not file.is_file():
        raise MissingInput(f"{file} is not there", path=str(file))
    try:
        return file, parse_fields(settings.fields)
    except ValueError as error:
        raise InvalidInput(f"fields: {error}") from error


def _key(file: Path, settings: Settings) -> str:
    rules = [
        settings.entity_type,
        settings.format.key,
        settings.format.delimiter,
        settings.format.sheet,
        settings.fields,
        settings.on_error,
        settings.most_errors,
    ]
    return hashlib.sha256(json.dumps([settings.path, files.digest(file), rules]).encode()).hexdigest()


def _begin(engine: sa.Engine, settings: Settings, key: str) -> None:
    row = {
        "key": key,
        "path": settings.path,
        "entity_type": settings.entity_type,
        "status": "reading",
        "line": 0,
        "good": 0,
        "bad": 0,
        "updated_at": now(),
    }
    with engine.begin() as connection:
        if settings.again:
            # Only what is over is begun again, so that the next attempt of this run goes on where this one stopped.
            connection.execute(sa.delete(Import).where(Import.key == key, Import.status != "reading"))
        upsert(connection, Import, [row], keep=row)


def _state(engine: sa.Engine, key: str) -> sa.Row[str, int, int, int]:
    with reading(engine) as connection:
        query = sa.select(Import.status, Import.line, Import.good, Import.bad).where(Import.key == key)
        return connection.execute(query).one()


def _read(
    engine: sa.Engine,
    run: Run,
    settings: Settings,
    key: str,
    file: Path,
    fields: tuple[Field, ...],
    state: sa.Row[str, int, int, int],
) -> None:
    _, line, good, bad = state
    if line:
        run.log.info("continuing", path=settings.path, after_line=line)
    for batch in _batches(rows(file, settings.format, line), settings.batch):
        with run.held(), engine.begin() as connection:
            accepted, refused = _sorted_out(connection, settings, key, fields, batch)
            good, bad, reached = good + len(accepted), bad + len(refused), batch[-1].number
            moved = connection.execute(
                sa.update(Import)
                .where(Import.key == key, Import.line == line, Import.status == "reading")
                .values(line=reached, good=good, bad=bad, updated_at=now())
            )
            if moved.rowcount != 1:
                raise Unavailable(f"another run is importing {settings.path} just now")
            upsert(connection, ImportRow, accepted)
            upsert(connection, ImportFault, refused)
        line = reached
        run.progress("Importing rows", good + bad)
        if bad > settings.most_errors:
            return


def _sorted_out(
    connection: sa.Connection, settings: Settings, key: str, fields: tuple[Field, ...], batch: list[Line]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The batch's good rows and its bad ones; the second row of a key is a bad one."""
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for line in batch:
        try:
            if line.problem is not None:
                raise BadRow(line.problem)
            entity, data = checked(line.values, settings.format.key, fields)
            good.append({"key": key, "entity_id": entity, "line": line.number, "data": data})
        except BadRow as problem:
            bad.append({"key": key, "line": line.number, "reason": str(problem)})
    known = sa.select(ImportRow.entity_id, ImportRow.line).where(
        ImportRow.key == key, ImportRow.entity_id.in_([row["entity_id"] for row in good])
    )
    first = {row.entity_id: row.line for row in connection.execute(known)}
    unique = []
    for row in good:
        if first.setdefault(row["entity_id"], row["line"]) == row["line"]:
            unique.append(row)
        else:
            reason = f"{settings.format.key}: {row['entity_id']!r} is in line {first[row['entity_id']]} already"
            bad.append({"key": key, "line": row["line"], "reason": reason})
    return unique, bad


def _batches(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    batch: list[Line] = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += line.size
        if len(batch) == size or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _end(engine: sa.Engine, run: Run, settings: Settings, key: str) -> None:
    with run.held(), engine.begin() as connection:
        # Whoever ends it has read this; for two at once, the second finds that it is over.
        lock = sa.select(Import.good, Import.bad).where(Import.key == key, Import.status == "reading").with_for_update()
        counted = connection.execute(lock).one_or_none()
        if counted is None:
            return
        refused = counted.bad > settings.most_errors or (counted.bad > 0 and settings.on_error == "refuse")
        if not refused:
            _take_over(connection, settings, key)
        connection.execute(sa.delete(ImportRow).where(ImportRow.key == key))
        status = "refused" if refused else "finished"
        connection.execute(sa.update(Import).where(Import.key == key).values(status=status, updated_at=now()))
        counts = {"entity_type": settings.entity_type, "good": counted.good, "bad": counted.bad}
        audit.record(connection, "import", run.name, settings.path, status, **counts)


def _take_over(connection: sa.Connection, settings: Settings, key: str) -> None:
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(Record)
    waiting = sa.select(
        sa.literal(settings.entity_type), ImportRow.entity_id, ImportRow.data, sa.literal(settings.path), ImportRow.line
    ).where(ImportRow.key == key)
    names = ["entity_type", "entity_id", "data", "source", "line"]
    statement = insert.from_select(names, waiting)
    replaced = {name: statement.excluded[name] for name in ("data", "source", "line")}
    connection.execute(statement.on_conflict_do_update(index_elements=["entity_type", "entity_id"], set_=replaced))


def _told(engine: sa.Engine, settings: Settings, key: str, state: sa.Row[str, int, int, int]) -> Success:
    query = sa.select(ImportFault.line, ImportFault.reason).where(ImportFault.key == key)
    with reading(engine) as connection:
        listed = connection.execute(query.order_by(ImportFault.line).limit(_LISTED))
        errors = [{"line": line, "reason": reason} for line, reason in listed]
    result: dict[str, object] = {"path": settings.path, "entity_type": settings.entity_type}
    if state.status == "refused":
        more = " and reading was ended there" if state.bad > settings.most_errors else ""
        raise InvalidInput(
            f"{settings.path}: nothing is imported, for {state.bad} bad rows{more}; line {errors[0]['line']}:"
            f" {errors[0]['reason']}",
            **result,
            bad=state.bad,
            errors=errors,
        )
    message = f"{state.good} rows of {settings.path} imported, {state.bad} skipped"
    return Success(message, {**result, "imported": state.good, "skipped": state.bad, "errors": errors})
