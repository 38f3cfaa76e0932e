"""document-processing: real files of every kind, sound and broken, on both databases."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from job_queue.cli import document_processing
from scheduledtask_sdk.failures import InvalidInput, MissingInput
from tests.jobs.job_queue import material
from tests.jobs.job_queue.conftest import Queue

TEXT = material.SUBJECTS["passwords"]
HTML = """<title>A  page</title><nav>Menu</nav><p>Some <b>bold</b>
 words.</p><script>x()</script><ul><li>1<li>2</ul>"""
MARKDOWN = """---
title: My notes
---
# Head

A [link](x) and `code`.

| a | b |
|---|---|
| 1 | 2 |
"""


def put(queue: Queue, name: str, content: bytes | str) -> Path:
    path = queue.documents / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def process(queue: Queue, **values: Any) -> dict[str, Any]:
    return dict(queue.call(document_processing, **values).result)


def text_of(queue: Queue, path: str) -> str:
    query = "SELECT text FROM chunks JOIN documents ON document_id = documents.id WHERE path = :path ORDER BY position"
    return "\n---\n".join(queue.column(query, path=path))


def reasons(queue: Queue) -> dict[str, str]:
    return dict(queue.rows("SELECT path, reason FROM documents WHERE status = 'failed'"))


def test_files_of_every_kind_become_clean_text(queue: Queue) -> None:
    put(queue, "a/guide.pdf", material.pdf(TEXT, title="The guide"))
    put(queue, "letter.docx", material.word("Dear Ann,\nthank you.", "A letter", [["Item", "Price"], ["Pen", "2 €"]]))
    put(queue, "page.html", HTML)
    put(queue, "notes.md", MARKDOWN)
    put(queue, "plain.txt", "First\xa0line\r\n\r\n\r\n\r\nsecond\u200b line".encode("utf-16"))
    put(queue, "old.txt", "Größe".encode("cp1252"))
    put(queue, ".hidden", "not ours")

    result = process(queue)

    assert (result["found"], result["processed"], result["unusable"]) == (6, 6, 0)
    assert " ".join(text_of(queue, "a/guide.pdf").split()) == TEXT
    assert text_of(queue, "letter.docx") == "A letter\n\nDear Ann,\n\nthank you.\n\nItem Price\nPen 2 €"
    assert text_of(queue, "page.html") == "Some bold words.\n\n1\n2"
    assert text_of(queue, "notes.md") == "Head\n\nA link and code.\n\na b\n1 2"
    assert text_of(queue, "plain.txt") == "First line\n\nsecond line"
    assert text_of(queue, "old.txt") == "Größe"
    titles = dict(queue.rows("SELECT path, title FROM documents WHERE title IS NOT NULL"))
    assert titles == {
        "a/guide.pdf": "The guide",
        "letter.docx": "A letter",
        "page.html": "A page",
        "notes.md": "My notes",
    }


def test_broken_and_encrypted_files_are_named_and_hold_up_no_other(queue: Queue) -> None:
    put(queue, "good.txt", TEXT)
    put(queue, "owner.pdf", material.encrypted_pdf(TEXT, user_password=""))
    put(queue, "secret.pdf", material.encrypted_pdf(TEXT, user_password="open sesame"))
    put(queue, "cut.pdf", material.pdf(TEXT)[:600])
    put(queue, "pictures.pdf", material.pdf(""))
    put(queue, "secret.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    put(queue, "cut.docx", material.word(TEXT)[:900])
    put(queue, "bomb.docx", material.zipped("word/document.xml", 210))
    put(queue, "program.txt", b"\x7fELF\0\0\0")
    put(queue, "empty.md", "")
    put(queue, "song.mp3", b"ID3")

    result = process(queue)

    assert (result["processed"], result["failed"]) == (2, 9)
    said = reasons(queue)
    assert said["secret.pdf"] == "encrypted; save it without a password"
    assert said["cut.pdf"].startswith("broken PDF")
    assert said["pictures.pdf"] == "holds no text; scanned pages need OCR first"
    assert said["secret.docx"].startswith("encrypted, or an old .doc")
    assert said["cut.docx"].startswith("broken DOCX")
    assert said["bomb.docx"].startswith("unpacks to 210000000 bytes")
    assert said["program.txt"] == "not a text: it holds NUL bytes"
    assert said["empty.md"] == "holds no text"
    assert said["song.mp3"].startswith("unsupported kind .mp3")
    assert {one["path"] for one in result["unusable_documents"]} == set(said)
    failed = queue.column("SELECT subject FROM audit_events WHERE kind = 'document' AND what = 'failed'")
    assert sorted(failed) == sorted(said)


def test_only_what_changed_is_read_again(queue: Queue) -> None:
    for name in ("same.txt", "touched.txt", "edited.txt", "gone.txt"):
        put(queue, name, f"{name}: {TEXT}")
    process(queue)
    before = dict(queue.rows("SELECT path, processed_at FROM documents"))
    os.utime(queue.documents / "touched.txt", (1, 1))
    put(queue, "edited.txt", "Something else")
    (queue.documents / "gone.txt").unlink()
    put(queue, "new.txt", "New")

    result = process(queue)

    assert (result["unchanged"], result["processed"], result["removed"]) == (2, 2, 1)
    after = dict(queue.rows("SELECT path, processed_at FROM documents"))
    assert [path for path in before if after.get(path) == before[path]] == ["same.txt", "touched.txt"]
    assert text_of(queue, "edited.txt") == "Something else"
    assert text_of(queue, "gone.txt") == ""
    assert process(queue)["unchanged"] == 4


def test_other_rules_of_cutting_cut_anew(light: Queue) -> None:
    put(light, "a.txt", TEXT * 20)
    assert process(light)["chunks"] == process(light, force=True)["chunks"]
    assert process(light, chunk_characters=200, chunk_overlap=20)["chunks"] > 20
    assert max(map(len, light.column("SELECT text FROM chunks"))) <= 200


def test_one_file_or_folder_can_be_named(light: Queue) -> None:
    put(light, "in/a.txt", "a")
    put(light, "in/b.txt", "b")
    put(light, "inside.txt", "c")
    assert process(light)["processed"] == 3
    (light.documents / "in/b.txt").unlink()
    (light.documents / "inside.txt").unlink()
    assert process(light, path="in")["removed"] == 1
    assert process(light, path="in/a.txt", force=True)["processed"] == 1
    assert light.column("SELECT path FROM documents ORDER BY path") == ["in/a.txt", "inside.txt"]


@pytest.mark.parametrize("path", ["", "missing", "empty"])
def test_where_no_file_is_nothing_is_removed(light: Queue, path: str) -> None:
    put(light, "a.txt", "a")
    process(light)
    (light.documents / "a.txt").unlink()
    (light.documents / "empty").mkdir()
    with pytest.raises(MissingInput, match="the documents are left as they are"):
        process(light, path=path)
    assert light.column("SELECT path FROM documents") == ["a.txt"]


def test_a_path_that_leads_elsewhere_is_refused(light: Queue) -> None:
    put(light, "a.txt", "a")
    (light.documents / "link.txt").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="leads out of"):
        process(light, path="../imports")
    assert process(light)["found"] == 1


def test_where_no_file_can_be_used_the_job_fails_and_says_why(light: Queue) -> None:
    put(light, "cut.pdf", material.pdf(TEXT)[:600])
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"none of the 1 files .* cut\.pdf: broken PDF"):
            process(light)


def test_a_file_that_takes_too_much_is_named_and_tried_again_under_higher_limits(light: Queue) -> None:
    put(light, "good.txt", TEXT)
    put(light, "huge.txt", "word " * 9_000_000)
    assert process(light, memory_limit=160)["processed"] == 1
    assert reasons(light) == {"huge.txt": "reading it takes more memory than is allowed"}

    assert process(light, memory_limit=160, file_limit=1_000_000)["unchanged"] == 1
    assert reasons(light) == {"huge.txt": "larger than 1000000 bytes (45000000)"}


def test_a_file_that_takes_too_long_is_given_up(light: Queue) -> None:
    put(light, "good.txt", TEXT)
    put(light, "slow.txt", "word " * 6_000_000)
    put(light, "zulu.txt", TEXT)
    result = process(light, time_limit=1)
    assert (result["processed"], reasons(light)) == (2, {"slow.txt": "reading it takes longer than 1 s"})


def test_a_name_that_is_no_text_is_told(light: Queue) -> None:
    put(light, "good.txt", TEXT)
    Path(os.fsdecode(os.fsencode(light.documents) + b"/\xff.txt")).write_text("x")
    result = process(light)
    assert result["unusable_documents"] == [{"path": "\\udcff.txt", "reason": "its name is not UTF-8; rename it"}]


def test_a_file_that_cannot_be_opened_now_stays_as_it_was_known(light: Queue) -> None:
    put(light, "good.txt", TEXT)
    put(light, "sub/gone.txt", "Known before")
    process(light)
    (light.documents / "sub/gone.txt").unlink()
    # Links in a circle: even root can't open that.
    (light.documents / "sub/gone.txt").symlink_to("gone.txt")
    assert process(light)["removed"] == 0


def test_a_run_killed_in_the_midst_is_continued_by_the_next(light: Queue) -> None:
    for number in range(80):
        put(light, f"{number:03}.txt", f"{number}: {TEXT}")
    killed = light.start("document-processing")
    assert killed.stderr is not None
    assert any("committed" in line for line in killed.stderr)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept = light.column("SELECT COUNT(*) FROM documents")[0]
    assert kept % 25 == 0

    assert process(light)["unchanged"] == kept
    assert light.column("SELECT COUNT(*) FROM audit_events") == [80]
    assert light.column("SELECT COUNT(DISTINCT document_id) FROM chunks") == [80]
