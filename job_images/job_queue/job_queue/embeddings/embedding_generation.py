"""embedding-generation: a vector for each text of a chunk that has none of this model yet.

A vector belongs to a text, by its digest: a chunk that moved, or is in several documents, needs no second one. Each
batch is a transaction, so a killed run loses one at most. At the end vectors of texts that are no more go.
"""

from __future__ import annotations

import sqlalchemy as sa

from job_queue import audit
from job_queue.database import reading, upsert
from job_queue.embeddings import model as models
from job_queue.embeddings.model import Model
from job_queue.embeddings.vectors import make_searchable, nearest
from job_queue.tables import Chunk, Vector
from scheduledtask_sdk import Run, Success

_EXCERPT = 200


def generate(engine: sa.Engine, run: Run, model_folder: str, batch: int) -> Success:
    """Make the vectors that are missing, `batch` at a time. Raises Misconfigured for the model or the extension."""
    model = models.load(model_folder)
    make_searchable(engine, model)
    told = audit.tally(engine, "embedding", run.name, model.name, "generated")
    total = _count_missing(engine, model)
    made, last = 0, ""
    while texts := _missing(engine, model, last, batch):
        vectors = model.embed([text for _, text in texts])
        rows = [
            {"model": model.name, "digest": digest, "coordinates": vector}
            for (digest, _), vector in zip(texts, vectors, strict=True)
        ]
        with run.held(), engine.begin() as connection:
            upsert(connection, Vector, rows)
            told.add(connection, made=len(rows))
        made += len(rows)
        last = texts[-1][0]
        run.progress("Embedding chunks", made, max(total, made))
    _remove_orphans(engine, run, batch, told)
    with reading(engine) as connection:
        kept = connection.scalar(sa.select(sa.func.count()).where(Vector.model == model.name))
    embedded, removed = (told.counts.get(name, 0) for name in ("made", "removed"))
    message = f"{embedded} texts embedded, {removed} vectors removed, {kept} there ({model.name})"
    result = {"embedded": embedded, "removed": removed, "vectors": kept, "model": model.name}
    return Success(message, {**result, "dimensions": model.dimensions})


def search(engine: sa.Engine, model_folder: str, question: str, most: int) -> Success:
    """The chunks nearest to a question in words."""
    model = models.load(model_folder)
    make_searchable(engine, model)
    [vector] = model.embed([question])
    with reading(engine) as connection:
        found = nearest(connection, model, vector, most) if vector else []
    listed = [
        {"path": one.path, "chunk": one.position, "distance": round(one.distance, 4), "text": one.text[:_EXCERPT]}
        for one in found
    ]
    return Success(f"{len(found)} chunks; nearest: {found[0].path if found else 'none'}", {"found": listed})


def _without_vector(model: Model) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(Vector.model == model.name, Vector.digest == Chunk.digest)


def _count_missing(engine: sa.Engine, model: Model) -> int:
    query = sa.select(sa.func.count(sa.distinct(Chunk.digest))).where(_without_vector(model))
    with reading(engine) as connection:
        return connection.scalar(query) or 0


def _missing(engine: sa.Engine, model: Model, last: str, batch: int) -> list[tuple[str, str]]:
    """The next texts without a vector, by digest after `last`."""
    query = (
        sa.select(Chunk.digest, sa.func.min(Chunk.text))
        .where(Chunk.digest > last, _without_vector(model))
        .group_by(Chunk.digest)
        .order_by(Chunk.digest)
        .limit(batch)
    )
    with reading(engine) as connection:
        return [(digest, text) for digest, text in connection.execute(query)]


def _remove_orphans(engine: sa.Engine, run: Run, batch: int, told: audit.Tally) -> None:
    orphans = sa.select(Vector.digest).where(~sa.exists().where(Chunk.digest == Vector.digest)).limit(batch)
    while True:
        with run.held(), engine.begin() as connection:
            digests = list(connection.scalars(orphans))
            if digests:
                removed = connection.execute(sa.delete(Vector).where(Vector.digest.in_(digests))).rowcount
                told.add(connection, removed=removed)
        if not digests:
            return
        run.progress("Removing vectors of texts that are gone", told.counts["removed"])
