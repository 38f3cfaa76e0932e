"""How a text is cut into chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_queue.documents.chunks import cut

texts = st.text(st.sampled_from("abcdefgäß .!?\n "), max_size=600)


def pieces(text: str, size: int, overlap: int = 0) -> list[str]:
    return [piece.text for piece in cut(text, size, overlap)]


@pytest.mark.parametrize(
    ("text", "size", "overlap", "wanted"),
    [
        ("", 10, 0, []),
        (" \n ", 10, 0, []),
        ("short", 10, 3, ["short"]),
        ("one two three four", 10, 0, ["one two", "three four"]),
        ("One is one. Two is two. And more", 16, 0, ["One is one.", "Two is two.", "And more"]),
        ("First.\n\nSecond one.\n\nThird", 20, 0, ["First.\n\nSecond one.", "Third"]),
        ("one two three four", 10, 5, ["one two", "two three", "four"]),
        ("abcdefghijklmnop", 6, 2, ["abcdef", "ghijkl", "mnop"]),
    ],
)
def test_boundaries_are_paragraphs_then_sentences_then_words(
    text: str, size: int, overlap: int, wanted: list[str]
) -> None:
    assert pieces(text, size, overlap) == wanted


@given(texts, st.integers(2, 60), st.data())
def test_chunks_hold_the_whole_text_within_their_bounds(text: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    covered: set[int] = set()
    last_end = 0
    for piece in cut(text, size, overlap):
        end = piece.start + len(piece.text)
        assert 0 < len(piece.text) <= size
        assert text[piece.start : end] == piece.text
        assert last_end - piece.start <= overlap
        covered.update(range(piece.start, end))
        last_end = end
    assert {index for index, character in enumerate(text) if not character.isspace()} <= covered


@given(texts, texts)
def test_equal_chunks_have_equal_digests(first: str, second: str) -> None:
    digests = {piece.text: piece.digest for piece in (*cut(first, 20, 5), *cut(second, 20, 5))}
    assert len(set(digests.values())) == len(digests)
