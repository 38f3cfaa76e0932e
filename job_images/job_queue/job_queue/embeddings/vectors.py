"""Vectors in the database: sqlite-vec on SQLite and pgvector on PostgreSQL compare them."""

from __future__ import annotations

import ctypes
import sqlite3
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from job_queue.database import reading
from job_queue.embeddings.model import Model
from scheduledtask_sdk.failures import Misconfigured
from scheduledtask_sdk.rules import failure_of

_MOST_INDEXED = 2000
"""Dimensions that pgvector's index takes."""

# Those that share a text share its vector, so the nearest texts come first and their places after.
_NEAREST = """
SELECT documents.path, chunks.position, near.distance, chunks.text
FROM (
  SELECT digest, {distance} AS distance FROM vectors
  WHERE model = :model AND coordinates IS NOT NULL
  ORDER BY distance LIMIT :most
) AS near
JOIN chunks ON chunks.digest = near.digest
JOIN documents ON documents.id = chunks.document_id
ORDER BY near.distance, documents.path, chunks.position LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk near to a question; `distance` from 0 (the same) to 2 (the opposite): one less the cosine."""

    path: str
    position: int
    distance: float
    text: str


def nearest(connection: sa.Connection, model: Model, question: Sequence[float], most: int) -> list[Found]:
    """The chunks whose vectors are nearest to the question's, the nearest first. Needs :func:`make_searchable`."""
    if connection.dialect.name == "postgresql":
        kind = f"vector({model.dimensions})"
        distance = f"CAST(coordinates AS {kind}) <=> CAST(:question AS {kind})"
        asked: object = "[" + ",".join(map(repr, question)) + "]"
    else:
        distance = "vec_distance_cosine(coordinates, :question)"
        asked = array("f", question).tobytes()
    query = sa.text(_NEAREST.format(distance=distance))
    rows = connection.execute(query, {"model": model.name, "question": asked, "most": most})
    return [Found(row.path, row.position, row.distance, row.text) for row in rows]


def make_searchable(engine: sa.Engine, model: Model) -> None:
    """See to it that vectors can be compared: load or create the extension, and on PostgreSQL the model's index.

    Raises Misconfigured where the extension can't be had, with the mend.
    """
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            _create_pgvector(connection)
            _index(connection, model)
    else:
        _load_sqlite_vec(engine)


def _create_pgvector(connection: sa.Connection) -> None:
    if connection.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
        return
    if not connection.scalar(sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")):
        raise Misconfigured(
            "the PostgreSQL server of DATABASE_URL has no extension 'vector'; install pgvector on it"
            " (Debian: postgresql-NN-pgvector)"
        )
    try:
        with connection.begin_nested():
            # Two runs at once: the second waits, and finds the extension.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('job_queue: extension vector'))"))
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
    except DBAPIError as error:
        if _passes(error):
            raise
        raise Misconfigured(
            "the extension 'vector' is not enabled in the database of DATABASE_URL, and this user may not enable it;"
            f" have an administrator run CREATE EXTENSION vector there ({error.orig})"
        ) from error


def _index(connection: sa.Connection, model: Model) -> None:
    if model.dimensions > _MOST_INDEXED:
        return
    name = f"vectors_{zlib.crc32(model.name.encode()):08x}"
    # The model's name is letters, digits, dots and dashes. Each model has an index of its own, for its dimensions.
    connection.execute(
        sa.text(
            f"CREATE INDEX IF NOT EXISTS {name} ON vectors"
            f" USING hnsw ((CAST(coordinates AS vector({model.dimensions}))) vector_cosine_ops)"
            f" WHERE model = '{model.name}'"
        )
    )


def _load_sqlite_vec(engine: sa.Engine) -> None:
    try:
        import sqlite_vec
    except ImportError:
        raise Misconfigured("the package sqlite-vec, which compares vectors on SQLite, is not installed") from None
    if hasattr(sqlite3.Connection, "enable_load_extension"):

        def load(connection: sqlite3.Connection, _record: object) -> None:
            connection.enable_load_extension(True)
            connection.load_extension(sqlite_vec.loadable_path())
            connection.enable_load_extension(False)

        sa.event.listen(engine, "connect", load)
    else:
        _load_into_every_connection(sqlite_vec.loadable_path())
    engine.dispose()  # connections from before know nothing of it
    try:
        with reading(engine) as connection:
            connection.execute(sa.text("SELECT vec_version()"))
    except (DBAPIError, sqlite3.Error) as error:
        if _passes(error):
            raise
        raise Misconfigured(
            f"the extension sqlite-vec can't be loaded: {error}; use PostgreSQL (DATABASE_URL)"
        ) from error


def _passes(error: Exception) -> bool:
    """Whether it is the database's state at this moment that failed, and not the extension."""
    failure = failure_of(error)
    return failure is not None and failure.retryable


def _load_into_every_connection(path: str) -> None:
    """For a Python that was built without loading of extensions, as some that people build themselves: SQLite itself
    can, so it is asked directly to run the extension's entry point in every new connection."""
    import _sqlite3

    try:
        library, extension = ctypes.CDLL(_sqlite3.__file__), ctypes.CDLL(path + ".so")
        library.sqlite3_auto_extension(ctypes.cast(extension.sqlite3_vec_init, ctypes.c_void_p))
    except (OSError, AttributeError) as error:
        raise Misconfigured(
            f"this Python can't load SQLite's extensions, and so not sqlite-vec: {error}; use PostgreSQL (DATABASE_URL)"
        ) from error
