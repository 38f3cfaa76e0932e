"""document-processing: keep the chunks equal to the files, reading only what changed.

A file is read again when its size, time or inode changed *and* its bytes did, or when the rules of cutting did. Each
document, its chunks and the audit event stand in one transaction with a group of others, so a run killed anywhere is
continued by the next. Files that can't be used are kept as failed documents, with the reason, and looked at again when
they change; files that are gone take their chunks with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from job_queue import audit
from job_queue.database import batches, now, reading, storable, upsert
from job_queue.documents import chunks, files, readers
from job_queue.documents.chunks import Piece, cut
from job_queue.documents.readers import Unreadable
from job_queue.documents.reading_process import Reader
from job_queue.tables import Chunk, Document
from scheduledtask_sdk import Run, Success
from scheduledtask_sdk.failures import InvalidInput, MissingInput

GROUP = 25
"""Documents in a transaction: what a killed run loses at most."""

GROUP_CHARACTERS = 2_000_000
"""Characters after which a transaction ends all the same: what is held in memory, beside one document."""

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """`path`: the file or folder below `folder` to look at; empty for all. `force`: read also what did not change.
    Sizes of chunks in characters; limits of a file in bytes, MiB of memory and seconds of reading."""

    folder: Path
    path: str
    size: int
    overlap: int
    force: bool
    file_limit: int
    memory: int
    seconds: int

    def rules(self, status: str) -> str:
        """What a document depends on beyond its file. Higher limits may help a failed one, and no other."""
        rules = f"readers {readers.VERSION}, chunks {chunks.VERSION} of {self.size} over {self.overlap}"
        limits = f", limits {self.file_limit} B {self.memory} MiB {self.seconds} s" if status == "failed" else ""
        return rules + limits


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file came to: `reason` where it failed; `same` where only its stamp changed."""

    path: str
    stamp: str
    digest: str = ""
    reason: str | None = None
    title: str | None = None
    characters: int = 0
    pieces: tuple[Piece, ...] = ()
    same: bool = False


@dataclass(slots=True)
class Counts:
    """What a run did."""

    found: int = 0
    unchanged: int = 0
    processed: int = 0
    failed: int = 0
    removed: int = 0
    chunks: int = 0
    passed_over: list[dict[str, str]] = field(default_factory=list)
    """Files that could not even be opened, or named; what was known of them before stays."""


def process(engine: sa.Engine, run: Run, settings: Settings) -> Success:
    """Bring the documents below `settings.path` up to date.

    Raises MissingInput where there is no file, and InvalidInput where no file could be used.
    """
    inside = _inside(settings)
    total = sum(1 for _ in files.walk(settings.folder, inside))
    if not total:
        raise MissingInput(
            f"no files in {settings.folder / settings.path}; the documents are left as they are",
            path=str(settings.folder / settings.path),
        )
    counts = Counts()
    with Reader(settings.memory, settings.seconds) as reader:
        for group in _groups(_outcomes(engine, run, settings, inside, reader, counts, total)):
            with run.held(), engine.begin() as connection:
                for outcome in group:
                    _store(connection, run, settings, outcome)
            run.log.info("committed", documents=len(group), processed=counts.processed, failed=counts.failed)
    _remove(engine, run, settings, inside, counts)
    return _success(engine, settings, inside, counts)


def _inside(settings: Settings) -> str:
    target = settings.folder / settings.path
    if ".." in target.parts or not files.is_below(settings.folder, target):
        raise InvalidInput(f"path: {settings.path!r} leads out of {settings.folder}; name a file or folder below it")
    if not target.exists():
        raise MissingInput(
            f"{target} is not there; the documents are left as they are. Is the volume mounted?", path=str(target)
        )
    inside = target.relative_to(settings.folder).as_posix()
    return "" if inside == "." else inside + "/"


def _outcomes(
    engine: sa.Engine, run: Run, settings: Settings, inside: str, reader: Reader, counts: Counts, total: int
) -> Iterator[Outcome]:
    for paths in batches(files.walk(settings.folder, inside), 200):
        with reading(engine) as connection:
            query = sa.select(Document.path, Document.stamp, Document.digest, Document.rules, Document.status)
            known = {
                row.path: row for row in connection.execute(query.where(Document.path.in_(map(files.shown, paths))))
            }
        for path in paths:
            counts.found += 1
            run.progress("Processing documents", counts.found, total)
            if path != files.shown(path):
                counts.passed_over.append({"path": files.shown(path), "reason": "its name is not UTF-8; rename it"})
                continue
            try:
                outcome = _look(path, known.get(path), settings, reader)
            except OSError as error:
                run.log.warning("passed over", path=path, reason=str(error))
                counts.passed_over.append({"path": path, "reason": f"can't be opened: {error.strerror}"})
                continue
            if outcome is None or outcome.same:
                counts.unchanged += 1
            else:
                counts.processed += outcome.reason is None
                counts.failed += outcome.reason is not None
                counts.chunks += len(outcome.pieces)
            if outcome is not None:
                yield outcome
            if outcome is not None and outcome.reason is not None:
                run.log.warning("failed", path=path, reason=outcome.reason)


def _look(
    path: str, known: sa.Row[str, str, str, str, str] | None, settings: Settings, reader: Reader
) -> Outcome | None:
    """What has become of a file; None where nothing is to be written. Raises OSError where it can't be opened."""
    file = settings.folder / path
    stamp = files.stamp(file)
    if stamp is None:
        return None
    keep = known is not None and known.rules == settings.rules(known.status) and not settings.force
    if known is not None and keep and known.stamp == stamp:
        return None
    if file.stat().st_size > settings.file_limit:
        return Outcome(path, stamp, reason=f"larger than {settings.file_limit} bytes ({file.stat().st_size})")
    digest = files.digest(file)
    if known is not None and keep and known.digest == digest:
        return Outcome(path, stamp, same=True)
    try:
        text = reader.read(file)
    except Unreadable as error:
        return Outcome(path, stamp, digest, reason=str(storable(str(error))))
    pieces = tuple(cut(text.text, settings.size, settings.overlap))
    return Outcome(path, stamp, digest, None, text.title, len(text.text), pieces)


def _groups(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    group: list[Outcome] = []
    characters = 0
    for outcome in outcomes:
        group.append(outcome)
        characters += outcome.characters
        if len(group) == GROUP or characters > GROUP_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _store(connection: sa.Connection, run: Run, settings: Settings, outcome: Outcome) -> None:
    if outcome.same:
        connection.execute(sa.update(Document).where(Document.path == outcome.path).values(stamp=outcome.stamp))
        return
    status = "failed" if outcome.reason is not None else "ready"
    row = {
        "path": outcome.path,
        "stamp": outcome.stamp,
        "digest": outcome.digest,
        "rules": settings.rules(status),
        "status": status,
        "reason": outcome.reason,
        "title": outcome.title,
        "characters": outcome.characters,
        "processed_at": now(),
    }
    changed = connection.execute(
        sa.update(Document).where(Document.path == outcome.path).values(row).returning(Document.id)
    ).scalar()
    document = changed or connection.execute(sa.insert(Document).values(row).returning(Document.id)).scalar_one()
    connection.execute(sa.delete(Chunk).where(Chunk.document_id == document))
    upsert(
        connection,
        Chunk,
        [
            {
                "document_id": document,
                "position": number,
                "start": piece.start,
                "text": piece.text,
                "digest": piece.digest,
            }
            for number, piece in enumerate(outcome.pieces)
        ],
    )
    detail = {"reason": outcome.reason} if outcome.reason else {"chunks": len(outcome.pieces)}
    audit.record(connection, "document", run.name, outcome.path, "failed" if outcome.reason else "processed", **detail)


def _scope(inside: str) -> sa.ColumnElement[bool]:
    return sa.or_(Document.path == inside.rstrip("/"), Document.path.startswith(inside, autoescape=True))


def _remove(engine: sa.Engine, run: Run, settings: Settings, inside: str, counts: Counts) -> None:
    """Documents whose files are gone go as well."""
    last = ""
    while True:
        query = sa.select(Document.path).where(_scope(inside), Document.path > last).order_by(Document.path).limit(500)
        with reading(engine) as connection:
            paths = list(connection.scalars(query))
        if not paths:
            return
        last = paths[-1]
        gone = [path for path in paths if files.is_gone(settings.folder / path)]
        if not gone:
            continue
        with run.held(), engine.begin() as connection:
            connection.execute(sa.delete(Document).where(Document.path.in_(gone)))
            for path in gone:
                audit.record(connection, "document", run.name, path, "removed")
        counts.removed += len(gone)


def _success(engine: sa.Engine, settings: Settings, inside: str, counts: Counts) -> Success:
    with reading(engine) as connection:
        statuses = (
            sa.select(Document.status, sa.func.count().label("documents"))
            .where(_scope(inside))
            .group_by(Document.status)
        )
        by_status = {row.status: row.documents for row in connection.execute(statuses)}
        failed = sa.select(Document.path, Document.reason).where(_scope(inside), Document.status == "failed")
        listed = [
            {"path": path, "reason": reason}
            for path, reason in connection.execute(failed.order_by(Document.path).limit(_LISTED))
        ]
    unusable = by_status.get("failed", 0) + len(counts.passed_over)
    result: dict[str, object] = {
        "found": counts.found,
        "unchanged": counts.unchanged,
        "processed": counts.processed,
        "failed": counts.failed,
        "removed": counts.removed,
        "chunks": counts.chunks,
        "unusable": unusable,
        "unusable_documents": (counts.passed_over + listed)[:_LISTED],
    }
    if not by_status.get("ready"):
        first = (counts.passed_over + listed)[0]
        raise InvalidInput(
            f"none of the {counts.found} files in {settings.folder / settings.path} can be used; {first['path']}:"
            f" {first['reason']}",
            **result,
        )
    message = (
        f"{counts.processed} documents processed into {counts.chunks} chunks ({counts.unchanged} unchanged,"
        f" {counts.removed} removed, {unusable} unusable)"
    )
    return Success(message, result)
