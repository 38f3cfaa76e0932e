"""embedding-generation and search: the model of wordllama's wheel, sqlite-vec and pgvector."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from job_queue.cli import document_processing, embedding_generation, search
from job_queue.embeddings import model as models
from job_queue.embeddings.vectors import nearest as nearest_chunks
from scheduledtask_sdk.failures import Misconfigured
from tests import postgres
from tests.cluster.waiting import until
from tests.jobs.job_queue import material
from tests.jobs.job_queue.conftest import Queue


@pytest.fixture
def library(queue: Queue) -> Queue:
    """Documents about several subjects, cut into chunks."""
    for name, text in material.SUBJECTS.items():
        (queue.documents / f"{name}.txt").write_text(text)
    queue.call(document_processing, chunk_characters=120, chunk_overlap=0)
    return queue


def embed(queue: Queue, **values: Any) -> dict[str, Any]:
    return dict(queue.call(embedding_generation, **values).result)


def nearest(queue: Queue, question: str, most: int = 1) -> list[str]:
    found: Any = queue.call(search, question=question, most=most).result["found"]
    return [one["path"] for one in found]


def test_the_nearest_chunks_are_those_of_the_subject(library: Queue) -> None:
    result = embed(library, batch_size=4)

    assert result["embedded"] == result["vectors"] == library.column("SELECT COUNT(DISTINCT digest) FROM chunks")[0]
    assert result["dimensions"] == 256
    assert nearest(library, "I can't log in to my account any more") == ["passwords.txt"]
    assert nearest(library, "When do I have to pay my bill?") == ["invoices.txt"]
    assert nearest(library, "growing vegetables") == ["gardening.txt"]
    assert nearest(library, "Will it snow?") == ["weather.txt"]
    assert len(nearest(library, "money", most=5)) == 5


def test_a_chunk_is_nearest_to_itself(library: Queue) -> None:
    embed(library)
    [(path, text)] = library.rows(
        "SELECT path, text FROM chunks JOIN documents ON document_id = documents.id ORDER BY path, position LIMIT 1"
    )
    found: Any = library.call(search, question=text).result["found"]
    assert (found[0]["path"], found[0]["distance"]) == (path, pytest.approx(0, abs=1e-3))
    assert [one["distance"] for one in found] == sorted(one["distance"] for one in found)


def test_only_new_texts_are_embedded_and_vectors_of_old_ones_go(library: Queue) -> None:
    first = embed(library)
    (library.documents / "copy.txt").write_text(material.SUBJECTS["weather"])
    (library.documents / "passwords.txt").write_text("Passwords are out of fashion.")
    library.call(document_processing, chunk_characters=120, chunk_overlap=0)

    again = embed(library)

    assert again["embedded"] == 1
    assert again["vectors"] == library.column("SELECT COUNT(DISTINCT digest) FROM chunks")[0]
    assert again["removed"] == first["vectors"] + 1 - again["vectors"]
    assert embed(library)["embedded"] == 0
    assert sorted(set(nearest(library, "storm and rain", most=2))) == ["copy.txt", "weather.txt"]


def test_a_run_that_is_stopped_embeds_no_text_twice_and_tells_of_all(light: Queue) -> None:
    (light.documents / "a.txt").write_text(" ".join(f"This is sentence number {number}." for number in range(6000)))
    light.call(document_processing, chunk_characters=100, chunk_overlap=0)
    [texts] = light.column("SELECT COUNT(DISTINCT digest) FROM chunks")
    stopped = light.start("embedding-generation", "--batch-size=1", TASK_RUN="embedding-1")
    assert stopped.stderr is not None
    assert any("Embedding" in line for line in stopped.stderr)
    stopped.send_signal(signal.SIGTERM)
    assert light.ended(stopped).error["class"] == "Interrupted"
    [made] = light.column("SELECT COUNT(*) FROM vectors")
    assert 0 < made < texts

    result = light.call(embedding_generation, run="embedding-1").result

    assert (result["embedded"], result["vectors"]) == (texts, texts)
    [told] = light.column("SELECT detail FROM audit_events WHERE kind = 'embedding'")
    assert json.loads(told) == {"made": texts}


def test_a_question_is_answered_beside_a_writer(light: Queue) -> None:
    (light.documents / "a.txt").write_text(material.SUBJECTS["weather"])
    light.call(document_processing)
    embed(light)
    with closing(sqlite3.connect(light.url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert nearest(light, "snow") == ["a.txt"]


def test_another_model_has_vectors_of_its_own(light: Queue, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    (light.documents / "a.txt").write_text("red red blue")
    light.call(document_processing)
    folder = tmp_path / "tiny"
    folder.mkdir()
    tokenizer = Tokenizer(models.WordLevel({"red": 0, "blue": 1, "[UNK]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embeddings": numpy.eye(3, dtype="float32")}, folder / "model.safetensors")
    embed(light)
    light.settings = {"embedding_model": str(folder)}

    result = embed(light)

    assert (result["embedded"], result["dimensions"]) == (1, 3)
    assert str(result["model"]).startswith("tiny-")
    assert nearest(light, "red") == ["a.txt"]
    assert light.column("SELECT COUNT(*) FROM vectors") == [2]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "model.safetensors is missing"),
        ({"model.safetensors": b"x", "tokenizer.json": b"{}"}, "can't be read"),
    ],
)
def test_a_model_that_cannot_be_used_is_told(light: Queue, tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Misconfigured, match=f"EMBEDDING_MODEL: .*{said}"):
        embed(light, embedding_model=str(tmp_path))


def test_on_postgresql_the_nearest_are_found_by_an_index(light: Queue, postgres_server: postgres.Server) -> None:
    with postgres_server.database() as url:
        light.url = url
        (light.documents / "a.txt").write_text(material.SUBJECTS["weather"])
        light.call(document_processing)
        embed(light)
        model = models.load("")
        [vector] = model.embed(["snow"])
        assert vector is not None
        engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
        with engine.connect() as connection:
            # Of one row no index is worth the while.
            connection.execute(sa.text("SET enable_seqscan = off"))
            connection.execute(sa.text("SET enable_sort = off"))
            [found] = nearest_chunks(connection, model, vector, 3)
            connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
            connection.commit()
            used = connection.execute(
                sa.text(
                    "SELECT indexdef, idx_scan FROM pg_stat_user_indexes JOIN pg_indexes"
                    " ON indexrelname = indexname WHERE indexdef LIKE '%hnsw%'"
                )
            ).one()
        assert found.path == "a.txt"
        assert used.idx_scan == 1, used


def test_a_server_that_ends_while_the_extension_is_enabled_is_a_passing_fault(
    light: Queue, postgres_server: postgres.Server
) -> None:
    with postgres_server.database() as url, psycopg.connect(url, autocommit=True) as other:
        light.url = url
        other.execute("SELECT pg_advisory_lock(hashtext('job_queue: extension vector'))")
        process = light.start("embedding-generation")
        waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        until("it waits for the lock", lambda: bool(light.rows(waiting)), seconds=30)
        other.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting})")
        ended = light.ended(process)
    assert (ended.exit_code, ended.error["class"]) == (75, "Unavailable")


def test_a_user_who_may_not_enable_pgvector_is_told_what_to_ask_for(
    light: Queue, postgres_server: postgres.Server
) -> None:
    with postgres_server.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS clerk")
            connection.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
            connection.execute("GRANT CREATE ON SCHEMA public TO clerk")
        light.url = sa.make_url(url).set(username="clerk", password="clerk").render_as_string(hide_password=False)

        with pytest.raises(Misconfigured, match="have an administrator run CREATE EXTENSION vector"):
            embed(light)
